"""Samples that tell how much is left."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "samples",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("sample_id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("drawn_at_ms", sa.BigInteger, nullable=False),
        sa.Column("as_of_ms", sa.BigInteger, nullable=False),
        sa.Column("encoder", sa.Text, nullable=False),
        sa.Column("after", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("strata", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_samples"),
        sa.UniqueConstraint("sample_id", name="uq_samples_sample_id"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_samples_case_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_samples_case_id", "samples", ["case_id"])
    op.create_table(
        "sample_images",
        sa.Column("sample", _NUMBER, nullable=False),
        sa.Column("place", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("stratum", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("sample", "place", name="pk_sample_images"),
        sa.ForeignKeyConstraint(["sample"], ["samples.number"], name="fk_sample_images_sample"),
    )
