"""The description of a node's HTTP interface, as OpenAPI 3.1."""
