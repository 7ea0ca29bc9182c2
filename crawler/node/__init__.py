"""A process of the cluster: a master or a worker, and a member while its lease lives."""
