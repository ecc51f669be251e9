"""What the routes answer with, put together once for a process and handed to each route by FastAPI."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import numpy as np
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from searcher.backend import Backend
from searcher.duplicates.service import Duplicates
from searcher.explaining import Explainer
from searcher.images import Images
from searcher.key_ring import KeyRing
from searcher.recognizing import Recognizer
from searcher.refusals import Refusals
from searcher.search import Searcher, SearcherParts
from searcher.workbench.casework import Casework
from searcher.workbench.desk import Desk
from searcher.workbench.sampling import Sampling
from searcher.workbench.watchwork import Watchwork
from searcher.workbench.workbench import Workbench
from shared.event_log.opening import open_dead_letter_scanner
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a searcher as its routes see them."""

    backend: Backend
    searcher: Searcher
    images: Images
    explainer: Explainer
    casework: Casework
    watchwork: Watchwork
    sampling: Sampling
    duplicates: Duplicates
    recognizer: Recognizer
    registry: CollectorRegistry
    settings: Settings
    now: Callable[[], datetime]

    @classmethod
    def of(cls, parts: SearcherParts, registry: CollectorRegistry, settings: Settings) -> "Services":
        """The services that these parts make up; ConfigurationError."""
        searcher = Searcher(parts, settings)
        desk = Desk(lambda: Workbench.of(settings, parts.now), settings.workbench_seconds)
        casework = Casework(parts, searcher, desk)
        return cls(
            parts.backend,
            searcher,
            Images(parts, searcher),
            Explainer(parts.backend, searcher, _refusals(settings)),
            casework,
            Watchwork(parts.backend, searcher, casework, parts.now),
            Sampling(parts.backend, searcher, desk, np.random.default_rng()),
            Duplicates(parts.backend, desk, settings, parts.now),
            Recognizer.of(settings, _key_ring(desk, parts.now), parts.now),
            registry,
            settings,
            parts.now,
        )


def _refusals(settings: Settings) -> Refusals:
    return Refusals(lambda: open_dead_letter_scanner(settings), settings.search_seconds)


def _key_ring(desk: Desk, now: Callable[[], datetime]) -> KeyRing:
    return KeyRing(lambda used: desk.ask(lambda bench: bench.keys.known(used)), now)


async def _provide(request: Request) -> Services:
    # A coroutine: for a plain function FastAPI would take a thread.
    services: Services = request.app.state.services
    return services


Provided = Annotated[Services, Depends(_provide)]
