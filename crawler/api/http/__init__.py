"""The HTTP side of the API: the server, the paths, and the format of the bodies."""
