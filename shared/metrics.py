"""Every Prometheus metric of both processes: its name, unit, meaning, and what to do about it.

Objects, not globals: `__main__` makes one for the process and passes it in. Labels are closed sets.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FRESHNESS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
_STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class IndexerMetrics:
    """What a worker says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records_consumed = Counter(
            "catalogue_indexer_records_consumed",
            "Records read from the event source and from the retries; the sum of catalogue_indexer_records_total once "
            "all are done.",
            registry=registry,
        )
        self.records = Counter(
            "catalogue_indexer_records",
            "Records done, by outcome: indexed, reused (picture unchanged), deleted, expired (older than the window), "
            "superseded, repeated, dead_lettered, retried (in the retries, where it is read and counted again), "
            "abandoned (unfinished when the worker stopped; read again later).",
            ["outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "catalogue_indexer_dead_letters",
            "Records given up on, by reason. Rising: look at `indexer dead-letters list`.",
            ["reason"],
            registry=registry,
        )
        self.lag_records = Gauge(
            "catalogue_indexer_lag_records",
            "Records (Kafka) or bytes (event file) between what was read and the end, by log (events, retries) and "
            "partition. Growing for minutes: add workers, or look at stage_seconds for the slow stage; in the retries: "
            "picture hosts are down.",
            ["log", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "catalogue_indexer_lag_seconds",
            "Age of the oldest record in flight, by log and by its own timestamp; 0 where there is none, and in an "
            "event file. In the retries it includes the wait for its next try.",
            ["log"],
            registry=registry,
        )
        self.in_flight_records = Gauge(
            "catalogue_indexer_in_flight_records", "Records read and not yet done, by log.", ["log"], registry=registry
        )
        self.in_flight_bytes = Gauge(
            "catalogue_indexer_in_flight_bytes", "Bytes of the records in flight, by log.", ["log"], registry=registry
        )
        self.queue_depth = Gauge(
            "catalogue_indexer_queue_depth",
            "Records that wait for or are in a stage: plan, fetch, decode, embed, write, match, dead_letter, retry. "
            "The deepest one is the bottleneck.",
            ["stage"],
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "catalogue_indexer_stage_seconds",
            "Seconds of one call of a stage: plan, fetch, decode, embed, write, match (comparing with watches, and "
            "telling of matches), dead_letter, retry, commit.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "catalogue_indexer_batch_size",
            "Records in one call of a stage that works in batches: plan, embed, write, match, dead_letter, retry.",
            ["stage"],
            buckets=_BATCH_SIZES,
            registry=registry,
        )
        self.event_to_indexed_seconds = Histogram(
            "catalogue_indexer_event_to_indexed_seconds",
            "Seconds from the record's timestamp (Kafka) or its reading (file) to its write being acknowledged.",
            buckets=_FRESHNESS_SECONDS,
            registry=registry,
        )
        self.fetched_bytes = Counter(
            "catalogue_indexer_fetched_bytes", "Bytes of pictures fetched by URL.", registry=registry
        )
        self.waits = Counter(
            "catalogue_indexer_waits",
            "Tries that found a dependency away, by dependency: store, event_log, dead_letters, retries, retries_log "
            "(reading them), matches. Rising: it is down.",
            ["dependency"],
            registry=registry,
        )
        self.waiting = Gauge(
            "catalogue_indexer_waiting",
            "1 while a dependency is waited for, by dependency; the log's `dependency_away` says why.",
            ["dependency"],
            registry=registry,
        )
        self.matches = Counter(
            "catalogue_indexer_matches",
            "Matches of images with watches, appended to the log of matches; those of records that are read again are "
            "appended again.",
            registry=registry,
        )
        self.watches = Gauge(
            "catalogue_indexer_watches",
            "Active watches that this worker compares images with, as it knew them at its last write.",
            registry=registry,
        )
        self.watches_foreign = Gauge(
            "catalogue_indexer_watches_foreign",
            "Active watches with codes of another encoder than the active one, which nothing can match. Not 0: end "
            "them, or make them anew.",
            registry=registry,
        )
        self.ready = Gauge("catalogue_indexer_ready", "1 while /readyz answers 200.", registry=registry)
        self.encoder = Gauge(
            "catalogue_indexer_encoder_info", "1 for the active encoder.", ["encoder"], registry=registry
        )
        self.drift_codes = Gauge(
            "catalogue_indexer_drift_codes",
            "Codes that the other figures of drift rest on: the last that this worker computed. 0: too few so far, or "
            "the encoder does not know what it was fitted on.",
            registry=registry,
        )
        self.drift_ones_changed = Gauge(
            "catalogue_indexer_drift_ones_changed",
            "Mean absolute change of a bit's share of ones since the fit, 0 to 1. High: other pictures come than the "
            "encoder was fitted on.",
            registry=registry,
        )
        self.drift_ones_changed_most = Gauge(
            "catalogue_indexer_drift_ones_changed_most",
            "The largest of these changes, 0 to 1: the bit that says least by now.",
            registry=registry,
        )
        self.drift_entropy = Gauge(
            "catalogue_indexer_drift_entropy",
            "Mean entropy of a bit: 1 where each is a one in half of the codes, 0 where none says anything.",
            registry=registry,
        )
        self.drift_skew = Gauge(
            "catalogue_indexer_drift_skew",
            "How many times the candidates of a subcode search within radius 0 there are, compared with the fit.",
            registry=registry,
        )


class VerifyMetrics:
    """What `indexer verify` says of its run, in a file for the node exporter's textfile collector."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.faults = Gauge(
            "catalogue_verify_faults",
            "Faults that the last run found, by fault: doubled, stale, missing, foreign_encoder, expired. Not 0: run "
            "`indexer verify --repair`, and keep what it printed.",
            ["fault"],
            registry=registry,
        )
        self.repaired = Gauge(
            "catalogue_verify_repaired", "Of these, the faults that the run repaired.", ["fault"], registry=registry
        )
        self.images = Gauge("catalogue_verify_images", "Images that the last run looked at.", registry=registry)
        self.ended = Gauge(
            "catalogue_verify_end_timestamp_seconds", "When the last run ended, since the epoch.", registry=registry
        )


class SearcherMetrics:
    """What a searcher says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "catalogue_searcher_requests",
            "HTTP requests by route template and status code.",
            ["route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "catalogue_searcher_request_seconds",
            "Seconds of one HTTP request by route template.",
            ["route"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.query_seconds = Histogram(
            "catalogue_searcher_query_seconds",
            "Seconds of a query by stage: seed (look-up or fetch), decode, embed, nearest, total.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.incomplete = Counter(
            "catalogue_searcher_incomplete_replies",
            "Replies that say `complete: false`. Rising: a shard is away or a query asks for too much.",
            registry=registry,
        )
        self.visible_images = Gauge(
            "catalogue_searcher_visible_images", "Images visible at the last look.", registry=registry
        )
        self.encoder = Gauge(
            "catalogue_searcher_encoder_info", "1 for the active encoder.", ["encoder"], registry=registry
        )
        self.resident_images = Gauge(
            "catalogue_searcher_resident_images", "Images whose codes are in memory.", registry=registry
        )
        self.resident_bytes = Gauge(
            "catalogue_searcher_resident_bytes", "Bytes of memory that they take.", registry=registry
        )
        self.resident_as_of = Gauge(
            "catalogue_searcher_resident_as_of_timestamp_seconds",
            "What the store had acknowledged before this time, since the epoch, is in memory; 0 while codes are not. "
            "More than some seconds ago: the store is away, or more is written than the searcher can follow.",
            registry=registry,
        )
        self.matches = Counter(
            "catalogue_searcher_matches",
            "Matches taken, from the indexers and from runs over the window, by what became of them: alert, repeated "
            "(an alert already), watch_unknown, watch_not_active, no_longer_near (the watch was changed), held_back, "
            "unreadable.",
            ["outcome"],
            registry=registry,
        )
        self.published = Counter(
            "catalogue_searcher_published", "Events appended to their logs, by stream.", ["stream"], registry=registry
        )
        self.publish_lag_seconds = Gauge(
            "catalogue_searcher_publish_lag_seconds",
            "Age of the oldest event that its log does not have yet, by stream (alerts, decisions); 0 where there is "
            "none. Growing: the log is away, or refuses something; the searcher's log says why.",
            ["stream"],
            registry=registry,
        )
        self.deliveries = Counter(
            "catalogue_searcher_deliveries",
            "Tries to deliver an event to a receiver, by outcome: delivered, waiting (tried again later), failed "
            "(given up; `GET /v1/deliveries?state=failed` shows them).",
            ["outcome"],
            registry=registry,
        )
        self.duty_waiting = Gauge(
            "catalogue_searcher_duty_waiting",
            "1 while a duty waits for something that is away or wrong, by duty: watches (published and run over the "
            "window), matches (become alerts), publish alerts, publish decisions, webhooks. Searches go on.",
            ["duty"],
            registry=registry,
        )
