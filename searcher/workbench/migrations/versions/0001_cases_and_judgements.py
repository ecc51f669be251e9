"""Cases, their seeds, judgements, evidence, and the audit log."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "evidence",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("kept_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_evidence"),
    )
    op.create_table(
        "cases",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_cases"),
    )
    op.create_index("ix_cases_changed_at_ms", "cases", ["changed_at_ms", "case_id"])
    op.create_table(
        "case_seeds",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("code", sa.LargeBinary, nullable=False),
        sa.Column("encoder", sa.Text, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("image_id", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("evidence", sa.String(64)),
        sa.PrimaryKeyConstraint("number", name="pk_case_seeds"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_case_seeds_case_id"),
        sa.ForeignKeyConstraint(["evidence"], ["evidence.digest"], name="fk_case_seeds_evidence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_case_seeds_case_id", "case_seeds", ["case_id"])
    op.create_table(
        "searches",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_searches"),
    )
    op.create_table(
        "judgements",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("rank", sa.Integer),
        sa.Column("distance", sa.Integer),
        sa.Column("encoder", sa.Text),
        sa.Column("code", sa.LargeBinary),
        sa.Column("search", sa.String(64)),
        sa.Column("image", sa.Text),
        sa.Column("evidence", sa.String(64)),
        sa.PrimaryKeyConstraint("number", name="pk_judgements"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_judgements_case_id"),
        sa.ForeignKeyConstraint(["search"], ["searches.digest"], name="fk_judgements_search"),
        sa.ForeignKeyConstraint(["evidence"], ["evidence.digest"], name="fk_judgements_evidence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_judgements_case_id", "judgements", ["case_id", "image_id", "number"])
    op.create_table(
        "audit",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_audit_case_id"),
        sqlite_autoincrement=True,
    )
