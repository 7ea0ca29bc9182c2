"""A worker: it starts and stops the crawls that are assigned to it."""
