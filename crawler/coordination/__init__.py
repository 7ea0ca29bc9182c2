"""What nodes agree on through etcd: membership, the leader, the records of tasks, ids."""
