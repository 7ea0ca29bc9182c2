"""The store on a real etcd: calls, watches, signing in, renewals of leases, and failures."""
