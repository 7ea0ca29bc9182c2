"""Sinks for items: files, databases, standard output; one file for each kind."""
