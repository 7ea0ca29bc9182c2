"""Every setting: its declaration, its text in config.yaml, and what a task may override."""
