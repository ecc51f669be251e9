"""The outbox's events go to receivers by HTTP, signed as Standard Webhooks say, with retries. At least once each: a
receiver tells repeats by the header `webhook-id`."""

import asyncio
import binascii
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from standardwebhooks import Webhook

from searcher.workbench.desk import Desk
from searcher.workbench.watch_records import Delivery, DeliveryState
from shared.errors import ConfigurationError, RejectedError
from shared.metrics import SearcherMetrics
from shared.settings import Settings

# So long nothing is delivered where a searcher died at it. One that takes longer may deliver twice, which is harmless.
_LEASE_SECONDS = 30.0
# Posted at once, so that one slow receiver holds up few others.
_AT_ONCE = 16
_FIRST_PAUSE_SECONDS = 5.0
_SECRET_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often a delivery is tried, and how long it waits in between at most."""

    tries: int
    pause_seconds_max: float

    def pause(self, tried: int, dice: random.Random) -> timedelta:
        """How long to wait after so many tries: twice as long each time, a tenth more or less."""
        seconds = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(tried - 1, 32), self.pause_seconds_max)
        return timedelta(seconds=seconds * dice.uniform(0.9, 1.1))


class Posting(Protocol):
    """Posts to URLs that may be posted to, as `shared.images.fetcher.Poster` does."""

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer; RejectedError where there is none."""

    async def close(self) -> None:
        """Close all connections."""


class WebhookDuty:
    """Delivers what is due; one searcher at a time."""

    name = "webhooks"

    def __init__(
        self,
        desk: Desk,
        poster: Posting,
        signer: Webhook,
        holder: str,
        *,
        retrying: Retrying,
        now: Callable[[], datetime],
        metrics: SearcherMetrics,
        dice: random.Random,
    ) -> None:
        """`holder` names this process among the searchers that share the workbench."""
        self._desk = desk
        self._poster = poster
        self._signer = signer
        self._holder = holder
        self._retrying = retrying
        self._now = now
        self._metrics = metrics
        self._dice = dice
        self._log = structlog.get_logger()

    async def step(self) -> bool:
        """Try some deliveries that are due."""
        if not await self._desk.ask(lambda bench: bench.outbox.due(1)):
            return False
        lease = await self._desk.ask(lambda bench: bench.outbox.lease(self.name, self._holder, _LEASE_SECONDS))
        if lease is None:
            return False
        due = await self._desk.ask(lambda bench: bench.outbox.due(_AT_ONCE))
        await asyncio.gather(*map(self._deliver, due))
        await self._desk.ask(lambda bench: bench.outbox.release(lease))
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self._poster.close()

    async def _deliver(self, delivery: Delivery) -> None:
        detail = await self._post(delivery)
        now, tried = self._now(), delivery.tries + 1
        if detail is None:
            state, due_at = DeliveryState.DELIVERED, now
        elif tried >= self._retrying.tries:
            state, due_at = DeliveryState.FAILED, now
            self._log.error("delivery_failed", url=delivery.url, event_id=delivery.event_id, detail=detail)
        else:
            state, due_at = DeliveryState.WAITING, now + self._retrying.pause(tried, self._dice)
        await self._desk.ask(lambda bench: bench.outbox.tried(delivery, state, due_at, detail or ""))
        self._metrics.deliveries.labels(state).inc()

    async def _post(self, delivery: Delivery) -> str | None:
        """What went wrong, if anything."""
        now = self._now()
        headers = {
            "accept": "*/*",
            "content-type": "application/json",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(delivery.event_id, now, delivery.body),
        }
        try:
            status = await self._poster.post(delivery.url, delivery.body.encode(), headers)
        except RejectedError as error:
            return str(error)
        return None if 200 <= status < 300 else f"the receiver answers {status}"


def signer_of(settings: Settings) -> Webhook:
    """What signs; ConfigurationError where there are receivers and no secret to sign with."""
    secret = settings.secret("webhook_secret")
    if not secret:
        raise ConfigurationError("CATALOGUE_WEBHOOK_SECRET: webhooks are signed, so a secret is needed")
    try:
        length = len(binascii.a2b_base64(secret.removeprefix("whsec_"), strict_mode=True))
    except ValueError as error:
        raise ConfigurationError("CATALOGUE_WEBHOOK_SECRET: expected whsec_ and base64") from error
    if length not in _SECRET_BYTES:
        raise ConfigurationError("CATALOGUE_WEBHOOK_SECRET: expected 24 to 64 bytes in base64")
    return Webhook(secret)
