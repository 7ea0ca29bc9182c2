"""The events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = ("id", "shard", "generation", "epoch", "step")
TYPES = {
    "shard": sa.Integer,
    "step": sa.SmallInteger,
    **dict.fromkeys(
        ("generation", "epoch", "run", "time_ns", "pages", "items", "failures"), sa.BigInteger
    ),
    **dict.fromkeys(
        ("id", "kind", "task", "state", "worker", "reason", "who", "spider", "labels"), sa.Text
    ),
    "seconds": sa.Double,
    "late": sa.Boolean,
}


def upgrade() -> None:
    """Make the table, with what finds events by task and by time."""
    op.create_table(
        "events",
        *(sa.Column(name, kind(), nullable=False) for name, kind in TYPES.items()),
        sa.PrimaryKeyConstraint(*KEY),
        if_not_exists=True,
    )
    op.create_index("events_of_task", "events", ["task", "time_ns"], if_not_exists=True)
    op.create_index("events_by_time", "events", ["time_ns"], if_not_exists=True)
