"""Spiders of every kind, how they are found, and how their callbacks are run."""
