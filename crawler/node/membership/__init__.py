"""How a node joins the cluster, leaves it, and learns who leads."""
