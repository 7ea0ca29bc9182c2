"""What a process is: a master or a worker, a member of the cluster while its lease lives."""
