"""The statistics of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make what is new."""
    op.create_table(
        "run_statistics",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("statistics", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "shard", "epoch"),
        if_not_exists=True,
    )
    op.create_index("run_statistics_by_time", "run_statistics", ["time_ns"], if_not_exists=True)
