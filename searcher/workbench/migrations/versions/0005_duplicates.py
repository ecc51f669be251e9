"""Groups of duplicates and how they were reviewed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "duplicate_runs",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("encoder", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("pairs", sa.BigInteger, nullable=False),
        sa.Column("held_back", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_duplicate_runs"),
    )
    op.create_index("ix_duplicate_runs_made_at_ms", "duplicate_runs", ["made_at_ms"])
    op.create_table(
        "duplicate_groups",
        sa.Column("group_id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kept", sa.Text),
        sa.Column("diameter", sa.Integer, nullable=False),
        sa.Column("loose", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("group_id", name="pk_duplicate_groups"),
        sa.ForeignKeyConstraint(["run_id"], ["duplicate_runs.run_id"], name="fk_duplicate_groups_run_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duplicate_groups_run_id", "duplicate_groups", ["run_id", "state", "group_id"])
    op.create_table(
        "duplicate_members",
        sa.Column("group_id", _NUMBER, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("distance", sa.Integer, nullable=False),
        sa.Column("code", sa.LargeBinary, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "place", name="pk_duplicate_members"),
        sa.ForeignKeyConstraint(["group_id"], ["duplicate_groups.group_id"], name="fk_duplicate_members_group_id"),
    )
    op.create_table(
        "duplicate_entries",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("group_id", _NUMBER, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_duplicate_entries"),
        sa.ForeignKeyConstraint(["run_id"], ["duplicate_runs.run_id"], name="fk_duplicate_entries_run_id"),
        sa.ForeignKeyConstraint(["group_id"], ["duplicate_groups.group_id"], name="fk_duplicate_entries_group_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duplicate_entries_run_id", "duplicate_entries", ["run_id", "number"])
