"""A cluster on this machine: its processes, its etcd, its ports."""
