"""The workbench's database by URL: SQLite for one machine, PostgreSQL where several searchers share it.

The one place where SQLAlchemy's errors are translated. The tables are brought up to date when the database is opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.errors import ConfigurationError, DependencyUnavailableError
from shared.settings import Settings

_MIGRATIONS = Path(__file__).with_name("migrations")
# "workbench" as a number: whoever migrates holds this lock of PostgreSQL, and the others wait.
_MIGRATION_LOCK = 0x776F726B
# PostgreSQL lets in 100 by default, so ten searchers fit. A question takes milliseconds, and those that write to one
# case wait for each other anyway, so more would not answer sooner; background duties take four at most.
_CONNECTIONS_MAX = 8


class WorkbenchUnavailableError(DependencyUnavailableError):
    """The workbench's database is away, locked, or full."""


class Database:
    """An open database whose tables are up to date. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        """Bring the tables of `engine` up to date.

        WorkbenchUnavailableError; ConfigurationError where the tables are of a newer version of this program.
        """
        self._engine = engine
        try:
            with self.transaction(writes=True) as connection:
                _migrate(connection)
        except BaseException:  # Whatever ended it, nobody can close this any more.
            engine.dispose()
            raise

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        """The database that `CATALOGUE_WORKBENCH_URL` names; ConfigurationError where it names none."""
        return cls(
            new_engine(settings.workbench_url, settings.secret("workbench_password"), settings.workbench_seconds)
        )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        """A transaction: all of it is kept at the end, or nothing where an error leaves it."""
        with _translated(), self._engine.connect() as connection:
            connection.execution_options(writes=writes)
            with connection.begin():
                yield connection


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those rows whose key is not there yet."""
    if rows:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(table).on_conflict_do_nothing(), list(rows))


def new_engine(url: str, password: str | None, seconds: float) -> Engine:
    """What opens connections to a URL; opens none yet."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        path = _sqlite_path(rest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _wrong(f"its folder can't be made: {error.strerror}") from error
        engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": seconds})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_in_sqlite)
        return engine
    if scheme == "postgresql":
        return create_engine(
            _postgresql_url(url, password),
            pool_size=_CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=seconds,
            # A connection that a restarted server has closed is noticed before it is used.
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": max(1, round(seconds)),
                "options": f"-c statement_timeout={round(seconds * 1000)}",
            },
        )
    raise _wrong("a workbench is sqlite:path, sqlite:///path or postgresql://user@host/database")


def _sqlite_path(rest: str) -> Path:
    if rest.startswith("//") and not rest.startswith("///"):
        raise _wrong("an absolute path has three slashes, sqlite:///path, a relative one none, sqlite:path")
    path = unquote(rest.removeprefix("//"))
    if not path or path.endswith("/") or "\0" in path:
        raise _wrong("it names no file")
    return Path(path)


def _postgresql_url(url: str, password: str | None) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _wrong("it is not postgresql://user@host:port/database") from error
    if parsed.password is not None:
        raise _wrong("the password goes into CATALOGUE_WORKBENCH_PASSWORD or a file, not into the URL")
    if not parsed.host or not parsed.database:
        raise _wrong("it names a host and a database: postgresql://user@host:port/database")
    return parsed.set(drivername="postgresql+psycopg", password=password)


def _wrong(why: str) -> ConfigurationError:
    # Without the URL itself: it may hold a password that belongs elsewhere.
    return ConfigurationError(f"CATALOGUE_WORKBENCH_URL: {why}")


def _set_up_sqlite(connection: Any, _: object) -> None:
    # Transactions are begun by `_begin_in_sqlite`, not by the driver, which begins them late and without a lock.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_in_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and then finds others writing could not go on.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    if _is_newest(connection):
        return
    # Slow to import, and most starts find nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError(
            f"CATALOGUE_WORKBENCH_URL: the tables are of another version of this program: {error}"
        ) from error


def _is_newest(connection: Connection) -> bool:
    """Whether the newest migration was the last to be run; their files' names begin with their revisions."""
    newest = max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("*.py"))
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [newest]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        # Without the statement and its values, which SQLAlchemy adds to its own text.
        original = error.orig if isinstance(error, DBAPIError) else error
        raise WorkbenchUnavailableError(f"the workbench's database: {str(original).splitlines()[0]}") from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise  # A statement of ours is wrong.
        raise ConfigurationError(f"CATALOGUE_WORKBENCH_URL: the file can't be used: {error.orig}") from error
