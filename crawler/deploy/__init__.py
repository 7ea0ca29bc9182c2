"""Bundles of deployed projects: what is in one, how it is made, read and kept."""
