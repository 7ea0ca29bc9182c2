"""The store on a real etcd: calls, watches, logging in, renewing leases, its failures."""
