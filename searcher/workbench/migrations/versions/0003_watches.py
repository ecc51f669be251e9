"""Watches, alerts, decisions, and what goes out."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _make_watches()
    _make_decisions()
    _make_outbox()


def _make_watches() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "watches",
        sa.Column("watch_id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("encoder", sa.Text, nullable=False),
        sa.Column("codes", sa.LargeBinary, nullable=False),
        sa.Column("code_bytes", sa.Integer, nullable=False),
        sa.Column("radius", sa.Integer, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("ran_revision", sa.BigInteger, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("watch_id", name="pk_watches"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_watches_case_id"),
    )
    op.create_index("ix_watches_case_id", "watches", ["case_id"])
    op.create_index("ix_watches_changed_at_ms", "watches", ["changed_at_ms", "watch_id"])
    op.create_table(
        "alerts",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("watch_id", sa.String(32), nullable=False),
        sa.Column("watch_revision", sa.BigInteger, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("distance", sa.Integer, nullable=False),
        sa.Column("encoder", sa.Text, nullable=False),
        sa.Column("code", sa.LargeBinary, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("raised_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_alerts"),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.watch_id"], name="fk_alerts_watch_id"),
        sa.UniqueConstraint("alert_id", name="uq_alerts_alert_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alerts_watch_id", "alerts", ["watch_id", "number"])


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("decision_id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("reverses", sa.String(32)),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_decisions"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_decisions_case_id"),
        sa.UniqueConstraint("decision_id", name="uq_decisions_decision_id"),
        sa.UniqueConstraint("reverses", name="uq_decisions_reverses"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decisions_case_id", "decisions", ["case_id", "number"])
    op.create_table(
        "decided_images",
        sa.Column("decision_id", sa.String(32), nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("encoder", sa.Text),
        sa.Column("code", sa.LargeBinary),
        sa.Column("image", sa.Text),
        sa.Column("evidence", sa.String(64)),
        sa.PrimaryKeyConstraint("decision_id", "image_id", name="pk_decided_images"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name="fk_decided_images_decision_id"),
        sa.ForeignKeyConstraint(["evidence"], ["evidence.digest"], name="fk_decided_images_evidence"),
    )


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("stream", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_outbox"),
        sa.UniqueConstraint("event_id", name="uq_outbox_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_published", "outbox", ["published", "stream", "number"])
    op.create_table(
        "deliveries",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("event", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["event"], ["outbox.number"], name="fk_deliveries_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_event", "deliveries", ["event"])
    op.create_index("ix_deliveries_state", "deliveries", ["state", "due_at_ms"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
