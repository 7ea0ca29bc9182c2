"""What a node answers to others, by HTTP and gRPC, over one service."""
