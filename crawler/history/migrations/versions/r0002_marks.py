"""The mark up to which everything is written, and runs by their state."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make what is new."""
    op.create_table(
        "marks",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("events_by_state", "events", ["state", "time_ns"], if_not_exists=True)
