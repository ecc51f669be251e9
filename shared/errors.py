"""The error tree. A caller asks `error.retriable`: wait and try again, or give up on this one thing.

A foreign library's error is translated into one of these in the single module that imports that library.
"""

from enum import StrEnum

EXIT_OK = 0
EXIT_CONFIGURATION = 2
EXIT_DEPENDENCY = 3
EXIT_BAD_INPUT = 4
EXIT_BUG = 70


class CatalogueError(Exception):
    """Base of every error that the project raises on purpose; its text is one line for a person."""

    retriable: bool = False
    exit_code: int = EXIT_BUG


class ConfigurationError(CatalogueError):
    """A setting, a file that a setting names, or the state of the store does not allow what was asked."""

    exit_code = EXIT_CONFIGURATION


class DependencyUnavailableError(CatalogueError):
    """A server or file that the process needs does not answer now and may answer later."""

    retriable = True
    exit_code = EXIT_DEPENDENCY


class StoreUnavailableError(DependencyUnavailableError):
    """Elasticsearch or the SQLite file is away, overloaded, blocked or locked."""


class EventLogUnavailableError(DependencyUnavailableError):
    """The Kafka brokers or the event file are away."""


class BadInputHaltError(CatalogueError):
    """Going on would lose input (for instance a dead letter that its log refuses); a person must look."""

    exit_code = EXIT_BAD_INPUT


class RejectionReason(StrEnum):
    """Why a catalogue event was given up on. A closed set: it is a metric label and a dead letter's header."""

    EVENT_TOO_LARGE = "event_too_large"
    EVENT_NOT_JSON = "event_not_json"
    EVENT_INVALID = "event_invalid"
    EVENT_FROM_THE_FUTURE = "event_from_the_future"
    VERSION_MIXED = "version_mixed"
    URL_FORBIDDEN = "url_forbidden"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_UNAVAILABLE = "image_unavailable"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_FORMAT_UNSUPPORTED = "image_format_unsupported"
    IMAGE_UNDECODABLE = "image_undecodable"
    EMBEDDING_NOT_FINITE = "embedding_not_finite"
    DOCUMENT_REFUSED = "document_refused"


class RejectedError(CatalogueError):
    """This input can't be indexed or searched with: `reason` for machines, the text for people.

    `retriable` is true where the same input may pass later (a host that does not answer): such a rejection becomes
    final only when its retries are used up.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(self, reason: RejectionReason, detail: str, *, retriable: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retriable = retriable


class QueryInvalidError(CatalogueError):
    """The query's own words do not make sense (bits of a code, a seed with two sources, a negative radius)."""

    exit_code = EXIT_CONFIGURATION


class ImageNotVisibleError(CatalogueError):
    """No visible image has the asked id: never indexed, deleted, or out of the window."""

    exit_code = EXIT_BAD_INPUT
