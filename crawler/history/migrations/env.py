"""What Alembic runs for each upgrade: it uses the connection that `steps` gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
