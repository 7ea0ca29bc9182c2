"""The gRPC side of the API: the server, its interceptors, the client of other nodes."""
