"""Reads JSON from outside and tells what is wrong with it, field by field."""
