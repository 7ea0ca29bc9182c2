"""The built-in plugins. Each file has one idea, and uses only the public hooks."""
