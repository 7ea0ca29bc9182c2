"""Alerts: what rules find, the messages about it, and how these reach people."""
