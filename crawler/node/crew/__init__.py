"""The crew of a worker: what runs its crawls, in its own process or in others."""
