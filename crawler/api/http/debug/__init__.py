"""The paths under /debug: what a node computes, where it stands, what fills its memory."""
