"""What is away is waited for, and said once."""

import random

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from indexer.patience import Patience
from shared.errors import ConfigurationError, StoreUnavailableError
from shared.metrics import IndexerMetrics


async def test_an_outage_is_waited_out_and_told_once_at_each_end() -> None:
    pauses: list[float] = []
    failures = iter([StoreUnavailableError("refused")] * 6)
    registry = CollectorRegistry()
    waiting_meanwhile: list[set[str]] = []
    gauges: list[float | None] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        waiting_meanwhile.append(set(patience.waiting_for))
        gauges.append(registry.get_sample_value("catalogue_indexer_waiting", {"dependency": "store"}))

    async def call() -> str:
        if error := next(failures, None):
            raise error
        return "answer"

    with capture_logs() as logs:
        patience = Patience(1.0, sleep, random.Random(1), IndexerMetrics(registry), structlog.get_logger())
        assert await patience.until_available("store", call) == "answer"
    assert [entry["event"] for entry in logs] == ["dependency_away", "dependency_back"]
    assert waiting_meanwhile == [{"store"}] * 6
    assert gauges == [1] * 6
    assert patience.waiting_for == set()
    assert registry.get_sample_value("catalogue_indexer_waiting", {"dependency": "store"}) == 0
    assert registry.get_sample_value("catalogue_indexer_waits_total", {"dependency": "store"}) == 6
    # Doubling from 0.1 s to the longest pause, each shortened by at most half.
    for pause, longest in zip(pauses, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=True):
        assert longest / 2 <= pause <= longest


async def test_other_errors_pass_through() -> None:
    async def sleep(seconds: float) -> None:
        raise AssertionError("nothing to wait for")

    async def call() -> None:
        raise ConfigurationError("the mapping does not fit")

    patience = Patience(1.0, sleep, random.Random(1), IndexerMetrics(CollectorRegistry()), structlog.get_logger())
    with pytest.raises(ConfigurationError):
        await patience.until_available("store", call)
