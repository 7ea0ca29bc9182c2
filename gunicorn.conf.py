"""gunicorn's own settings for `gunicorn -k gevent app:master` and `app:worker`."""

# A node must be made in the process that runs it: no gRPC channel survives a fork.
preload_app = False

# A clean stop first stops crawls and deregisters; node.stop_s bounds it.
graceful_timeout = 15
