"""A sample of the source's pictures for a command: opens what `indexer.fitting` works with, and shows progress."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import structlog

from indexer.fitting import Sample, SamplerParts, draw_sample
from indexer.running import now, pictures
from shared.encoding.embedder import Embedder
from shared.errors import ConfigurationError
from shared.event_log import opening as event_logs
from shared.settings import Settings
from shared.terminal import progress


async def sample_source(settings: Settings, opened: Callable[[], Embedder], size: int) -> tuple[Embedder, Sample]:
    """Embed up to `size` pictures with what `opened` gives (asked once the source could be opened).

    ConfigurationError where not one could be embedded.
    """
    async with pictures(settings) as (fetcher, decoder):
        with (
            closing(event_logs.open_scanner(settings)) as scanner,
            ThreadPoolExecutor(1) as scan_thread,
            ThreadPoolExecutor(1) as model_thread,
            progress("embedding", None) as advance,
        ):
            embedder = opened()
            parts = SamplerParts(
                scanner,
                fetcher,
                decoder,
                embedder,
                now,
                asyncio.sleep,
                structlog.get_logger(),
                scan_thread,
                model_thread,
            )
            sample = await draw_sample(parts, settings, size, advance)
    if not sample.image_ids:
        raise ConfigurationError("none of the sampled pictures could be embedded; `--log-level debug` tells why")
    return embedder, sample
