"""The gRPC side of the API: the server, its interceptors, and the client of other nodes."""
