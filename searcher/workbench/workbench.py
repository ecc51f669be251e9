"""The workbench: everything that is kept in its database, by subject."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from searcher.workbench.database import Database
from searcher.workbench.ledger import Ledger
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Workbench:
    """Repositories over one database. Each of their methods is one transaction."""

    database: Database
    ledger: Ledger

    @classmethod
    def over(cls, database: Database, now: Callable[[], datetime]) -> "Workbench":
        """The workbench in an open database."""
        return cls(database, Ledger(database, now))

    @classmethod
    def of(cls, settings: Settings, now: Callable[[], datetime]) -> "Workbench":
        """The workbench that `CATALOGUE_WORKBENCH_URL` names; WorkbenchUnavailableError, ConfigurationError."""
        return cls.over(Database.of(settings), now)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
