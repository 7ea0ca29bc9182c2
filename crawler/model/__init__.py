"""The values that cross the boundaries of parts: tasks, nodes, constraints, the scheduler's
policy."""
