"""Spiders of all kinds. This package loads them and runs their callbacks."""
