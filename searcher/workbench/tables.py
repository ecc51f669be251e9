"""The tables of the workbench. A change here needs a migration in `migrations/versions`; a test compares the two.

Times are whole milliseconds since the epoch, UTC. Judgements and the audit log are only ever appended to.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

# Names of constraints that both databases and every migration agree on.
METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the key is an INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")
_DIGEST = String(64)

EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("digest", _DIGEST, primary_key=True),
    Column("media_type", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("kept_at_ms", BigInteger, nullable=False),
)

CASES = Table(
    "cases",
    METADATA,
    Column("case_id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)
Index("ix_cases_changed_at_ms", CASES.c.changed_at_ms, CASES.c.case_id)

CASE_SEEDS = Table(
    "case_seeds",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False, index=True),
    Column("code", LargeBinary, nullable=False),
    Column("encoder", Text, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("image_id", Text),
    Column("url", Text),
    Column("evidence", ForeignKey("evidence.digest")),
    sqlite_autoincrement=True,
)

SEARCHES = Table(
    "searches",
    METADATA,
    Column("digest", _DIGEST, primary_key=True),
    Column("request", Text, nullable=False),
)

JUDGEMENTS = Table(
    "judgements",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False),
    Column("image_id", Text, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("who", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("rank", Integer),
    Column("distance", Integer),
    Column("encoder", Text),
    Column("code", LargeBinary),
    Column("search", ForeignKey("searches.digest")),
    Column("image", Text),
    Column("evidence", ForeignKey("evidence.digest")),
    sqlite_autoincrement=True,
)
Index("ix_judgements_case_id", JUDGEMENTS.c.case_id, JUDGEMENTS.c.image_id, JUDGEMENTS.c.number)

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("case_id", ForeignKey("cases.case_id")),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
