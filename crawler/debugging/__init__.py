"""Looks into a process that runs: what it computes, where it stands, what fills its memory."""
