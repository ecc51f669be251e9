"""Puts the duties of a searcher together and does them until it stops."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from searcher.search import SearcherParts
from searcher.services import Services
from searcher.watching.duty import Duty, attend
from searcher.watching.publishing import PublishDuty
from searcher.watching.taking import AlertTaker, MatchDuty
from searcher.watching.webhooks import Retrying, WebhookDuty, signer_of
from searcher.watching.window_run import WatchDuty
from searcher.workbench.outbox import Stream
from shared.event_log.opening import open_match_reader, open_published_scanner, open_published_writer
from shared.images.fetcher import FetchLimits, Poster
from shared.metrics import SearcherMetrics
from shared.settings import Settings


def duties_of(services: Services, parts: SearcherParts) -> Sequence[Duty]:
    """All duties, nothing of them begun; make them inside a running event loop. ConfigurationError."""
    settings, desk, now = services.settings, services.casework.desk, parts.now
    holder = secrets.token_hex(8)
    taker = AlertTaker(desk, services.searcher.held_back, parts.metrics)
    duties: list[Duty] = [
        WatchDuty(parts.backend, services.searcher, desk, taker, holder=holder, now=now),
        MatchDuty(partial(open_match_reader, settings, f"{settings.group}-workbench"), desk, taker),
    ]
    for stream in Stream:
        opening = partial(open_published_writer, settings, stream), partial(open_published_scanner, settings, stream)
        duties.append(PublishDuty(stream, desk, holder, opening, now=now, metrics=parts.metrics))
    if settings.webhook_urls:
        duties.append(_webhooks(services, parts, holder))
    return duties


def check_webhooks(settings: Settings) -> None:
    """ConfigurationError where webhooks are asked for and can't be signed."""
    if settings.webhook_urls:
        signer_of(settings)


@asynccontextmanager
async def attended(duties: Sequence[Duty], metrics: SearcherMetrics) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Do the duties meanwhile; gives their tasks. One ends by itself only by a mistake in the program."""
    tasks = [asyncio.create_task(attend(duty, metrics)) for duty in duties]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for duty in duties:
            await duty.close()


def _webhooks(services: Services, parts: SearcherParts, holder: str) -> WebhookDuty:
    settings = services.settings
    return WebhookDuty(
        services.casework.desk,
        Poster(FetchLimits.of(settings), settings.webhook_seconds),
        signer_of(settings),
        holder,
        retrying=Retrying(settings.webhook_tries, settings.webhook_pause_seconds_max),
        now=parts.now,
        metrics=parts.metrics,
        dice=random.Random(),
    )
