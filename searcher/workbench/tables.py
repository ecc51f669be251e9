"""The tables of the workbench. A change here needs a migration in `migrations/versions`; a test compares the two.

Times are whole milliseconds since the epoch, UTC. Judgements and the audit log are only ever appended to.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

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

# Numbers that are counted up in the database. Who changes one keeps others from doing so until its transaction ends.
COUNTERS = Table(
    "counters",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

WATCHES = Table(
    "watches",
    METADATA,
    Column("watch_id", String(32), primary_key=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("encoder", Text, nullable=False),
    # All codes one behind the other, of so many bytes each.
    Column("codes", LargeBinary, nullable=False),
    Column("code_bytes", Integer, nullable=False),
    Column("radius", Integer, nullable=False),
    Column("filter", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", BigInteger, nullable=False),
    # The revision that has been run over the whole window; 0 for none.
    Column("ran_revision", BigInteger, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)
Index("ix_watches_changed_at_ms", WATCHES.c.changed_at_ms, WATCHES.c.watch_id)

ALERTS = Table(
    "alerts",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    # Made of watch, image and version, so that these three are unique by it.
    Column("alert_id", String(32), nullable=False, unique=True),
    Column("watch_id", ForeignKey("watches.watch_id"), nullable=False),
    Column("watch_revision", BigInteger, nullable=False),
    Column("image_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("distance", Integer, nullable=False),
    Column("encoder", Text, nullable=False),
    Column("code", LargeBinary, nullable=False),
    Column("image", Text, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_alerts_watch_id", ALERTS.c.watch_id, ALERTS.c.number)

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("decision_id", String(32), nullable=False, unique=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False),
    # The decision that this entry takes back.
    Column("reverses", String(32), unique=True),
    Column("policy", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_decisions_case_id", DECISIONS.c.case_id, DECISIONS.c.number)

DECIDED_IMAGES = Table(
    "decided_images",
    METADATA,
    Column("decision_id", ForeignKey("decisions.decision_id"), primary_key=True),
    Column("image_id", Text, primary_key=True),
    Column("encoder", Text),
    Column("code", LargeBinary),
    Column("image", Text),
    Column("evidence", ForeignKey("evidence.digest")),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("stream", String(16), nullable=False),
    Column("event_id", String(32), nullable=False, unique=True),
    Column("body", Text, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("published", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_outbox_published", OUTBOX.c.published, OUTBOX.c.stream, OUTBOX.c.number)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("event", ForeignKey("outbox.number"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_deliveries_state", DELIVERIES.c.state, DELIVERIES.c.due_at_ms)

# Who does a duty that only one searcher may do at a time; `attempt` says what was begun and not yet written down.
LEASES = Table(
    "leases",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("attempt", Text),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("key_id", String(12), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("digest", _DIGEST, nullable=False),
    Column("previous_digest", _DIGEST),
    Column("previous_until_ms", BigInteger),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    Column("used_at_ms", BigInteger),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", _DIGEST, primary_key=True),
    Column("key_id", ForeignKey("keys.key_id"), nullable=False),
    Column("key_digest", _DIGEST, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

SAMPLES = Table(
    "samples",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("sample_id", String(32), nullable=False, unique=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("drawn_at_ms", BigInteger, nullable=False),
    Column("as_of_ms", BigInteger, nullable=False),
    Column("encoder", Text, nullable=False),
    # The last entry of the ledger that was known when it was drawn.
    Column("after", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("strata", Text, nullable=False),
    sqlite_autoincrement=True,
)

SAMPLE_IMAGES = Table(
    "sample_images",
    METADATA,
    Column("sample", ForeignKey("samples.number"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("image_id", Text, nullable=False),
    Column("stratum", Integer, nullable=False),
)

DUPLICATE_RUNS = Table(
    "duplicate_runs",
    METADATA,
    Column("run_id", String(32), primary_key=True),
    Column("question", Text, nullable=False),
    Column("encoder", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("who", Text, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False, index=True),
    Column("heard_at_ms", BigInteger, nullable=False),
    Column("stage", String(32), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("pairs", BigInteger, nullable=False),
    Column("held_back", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

DUPLICATE_GROUPS = Table(
    "duplicate_groups",
    METADATA,
    Column("group_id", _Number, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("duplicate_runs.run_id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("kept", Text),
    Column("diameter", Integer, nullable=False),
    Column("loose", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_duplicate_groups_run_id", DUPLICATE_GROUPS.c.run_id, DUPLICATE_GROUPS.c.state, DUPLICATE_GROUPS.c.group_id)

DUPLICATE_MEMBERS = Table(
    "duplicate_members",
    METADATA,
    Column("group_id", ForeignKey("duplicate_groups.group_id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("image_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("distance", Integer, nullable=False),
    Column("code", LargeBinary, nullable=False),
    Column("image", Text, nullable=False),
)

# What was decided, only ever appended to; groups and members say what came of it.
DUPLICATE_ENTRIES = Table(
    "duplicate_entries",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("duplicate_runs.run_id"), nullable=False),
    Column("group_id", ForeignKey("duplicate_groups.group_id"), nullable=False),
    Column("decision", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_duplicate_entries_run_id", DUPLICATE_ENTRIES.c.run_id, DUPLICATE_ENTRIES.c.number)
