"""The API of a node for others: HTTP and gRPC over one service."""
