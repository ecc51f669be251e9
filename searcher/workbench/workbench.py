"""The workbench: everything that is kept in its database, by subject."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from searcher.workbench.alerts import Alerts
from searcher.workbench.audit import AuditLog
from searcher.workbench.database import Database
from searcher.workbench.decisions import Decisions
from searcher.workbench.duplicate_groups import DuplicateGroups
from searcher.workbench.keys import Keys
from searcher.workbench.ledger import Ledger
from searcher.workbench.outbox import Outbox
from searcher.workbench.samples import Samples
from searcher.workbench.watches import Watches
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Workbench:
    """Repositories over one database. Each of their methods is one transaction."""

    database: Database
    ledger: Ledger
    keys: Keys
    watches: Watches
    alerts: Alerts
    decisions: Decisions
    outbox: Outbox
    samples: Samples
    duplicates: DuplicateGroups
    audit: AuditLog

    @classmethod
    def over(cls, database: Database, now: Callable[[], datetime], receivers: Sequence[str] = ()) -> "Workbench":
        """The workbench in an open database; `receivers` are URLs that events are delivered to."""
        outbox = Outbox(database, now, receivers)
        return cls(
            database,
            Ledger(database, now),
            Keys(database, now),
            Watches(database, now),
            Alerts(database, now, outbox),
            Decisions(database, now, outbox),
            outbox,
            Samples(database, now),
            DuplicateGroups(database, now),
            AuditLog(database),
        )

    @classmethod
    def of(cls, settings: Settings, now: Callable[[], datetime]) -> "Workbench":
        """The workbench that `CATALOGUE_WORKBENCH_URL` names; WorkbenchUnavailableError, ConfigurationError."""
        return cls.over(Database.of(settings), now, settings.webhook_urls)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
