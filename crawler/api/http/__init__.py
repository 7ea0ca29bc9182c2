"""The HTTP side of the API: the server, the paths, what bodies look like."""
