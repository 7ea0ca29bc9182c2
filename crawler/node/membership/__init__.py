"""How a node joins the cluster and leaves it, and learns who leads."""
