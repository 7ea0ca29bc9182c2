"""When schedules fire, and what a firing does: decisions without input or output."""
