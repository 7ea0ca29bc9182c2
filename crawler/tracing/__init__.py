"""Traces: which spans a node makes of requests, placements and runs, and how they get to a
collector."""
