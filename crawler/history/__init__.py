"""The history of tasks: events from what the leader commits, in a database, and read from there."""
