"""What becomes of an item: its fields, the pipelines that change it, the sink that keeps it."""
