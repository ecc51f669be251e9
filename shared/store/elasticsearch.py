"""The connection to Elasticsearch: the one module that imports its client, and where the client's errors end.

What may pass later is StoreUnavailableError: no answer, a timeout, overload (429, 503), a write block, and credentials
that are refused, because an operator renews them while workers wait. What will not is a Refusal, a ConfigurationError.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from elasticsearch import ApiError, Elasticsearch, SerializationError, UnsupportedProductError
from elasticsearch import ConnectionError as NoConnectionError
from elasticsearch import ConnectionTimeout as NoAnswerError
from elasticsearch import SSLError as UntrustedError

from shared.errors import ConfigurationError, StoreUnavailableError

_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT, _TOO_LARGE, _TOO_MANY = 401, 403, 404, 408, 413, 429
_SERVER_ERRORS = 500
# Refused as if by the caller's fault, yet over once an operator has reacted (a closed index, too many shards), or once
# a month that was removed and made again meanwhile is prepared again (a field that its mapping does not have).
_PASSING = frozenset({"index_closed_exception", "validation_exception", "strict_dynamic_mapping_exception"})


class RefusalError(ConfigurationError):
    """Elasticsearch understood and will not do it: `status` is HTTP's, `error_type` is its name for the cause."""

    def __init__(self, status: int, error_type: str, reason: str) -> None:
        super().__init__(f"Elasticsearch refuses: {reason} ({error_type}, {status})")
        self.status = status
        self.error_type = error_type

    @property
    def missing(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.status == _NOT_FOUND

    @property
    def exists_already(self) -> bool:
        """Whether what was to be made exists."""
        return self.error_type in ("resource_already_exists_exception", "version_conflict_engine_exception")

    @property
    def for_a_part(self) -> bool:
        """Whether a smaller part of the request may pass: it was too large, or something in it is malformed."""
        return self.status == _TOO_LARGE or self.error_type == "action_request_validation_exception"


class Connection:
    """Asks the servers of one cluster; safe to use from several threads."""

    def __init__(
        self, urls: Sequence[str], *, api_key: Callable[[], str | None] | None, ca_file: Path | None, seconds: float
    ) -> None:
        """`urls` are http:// or https:// URLs of nodes; `seconds` bounds one request. Nothing is asked yet.

        `api_key` gives the key as it is now, and is called for each request: a renewed one counts from the next on.
        """
        # The client itself would notice at the first request only.
        if ca_file is not None and not ca_file.is_file():
            raise ConfigurationError(f"CATALOGUE_ELASTICSEARCH_CA_FILE: there is no file {ca_file}")
        trust: dict[str, Any] = {"ca_certs": str(ca_file)} if ca_file is not None else {}
        try:
            self._client = Elasticsearch(
                list(urls),
                request_timeout=seconds,
                # Where a node can't be reached another is tried; whether to repeat anything else, the caller knows.
                max_retries=len(urls),
                retry_on_status=(),
                **trust,
            )
        except (ValueError, OSError) as error:
            raise ConfigurationError(f"CATALOGUE_STORE_URL or CATALOGUE_ELASTICSEARCH_CA_FILE: {error}") from error
        self._api_key = api_key or (lambda: None)
        self._used_api_key: str | None = None
        self._names = ", ".join(urls)
        self._seconds = seconds

    def ask(self, question: Callable[[Elasticsearch], Any]) -> Any:
        """The body of the answer to `question`; StoreUnavailableError or RefusalError where there is none."""
        try:
            return question(self._client_now()).body
        except NoAnswerError as error:
            raise StoreUnavailableError(
                f"Elasticsearch gave no answer in {self._seconds:g} s: {self._names}"
            ) from error
        except UntrustedError as error:
            raise StoreUnavailableError(
                f"Elasticsearch's certificate is not trusted (CATALOGUE_ELASTICSEARCH_CA_FILE): {error.message}"
            ) from error
        except NoConnectionError as error:
            raise StoreUnavailableError(f"Elasticsearch can't be reached: {self._names}: {error.message}") from error
        except UnsupportedProductError as error:
            raise ConfigurationError(f"CATALOGUE_STORE_URL: no Elasticsearch answers at {self._names}") from error
        except SerializationError as error:
            raise StoreUnavailableError(f"Elasticsearch's answer is broken: {self._names}") from error
        except ApiError as error:
            raise _translated(error) from error

    def _client_now(self) -> Elasticsearch:
        """The client with the key as it is now, over the same connections."""
        api_key = self._api_key()
        if api_key is not None and api_key != self._used_api_key:
            self._client = self._client.options(api_key=api_key)
            self._used_api_key = api_key
        return self._client

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def unavailable_for(status: int, error_type: str, reason: str) -> StoreUnavailableError | None:
    """The error to raise where this answer, to a request or to one item of a bulk, may be another one later."""
    if status == _UNAUTHENTICATED:
        return StoreUnavailableError("Elasticsearch refuses the credentials (401): see CATALOGUE_ELASTICSEARCH_API_KEY")
    if status == _FORBIDDEN and error_type != "cluster_block_exception":
        return StoreUnavailableError(f"Elasticsearch does not allow this to these credentials (403): {reason}")
    if status in (_FORBIDDEN, _TIMEOUT, _TOO_MANY) or status >= _SERVER_ERRORS or error_type in _PASSING:
        return StoreUnavailableError(f"Elasticsearch can't do it now ({status}): {reason}")
    return None


def _translated(error: ApiError) -> Exception:
    body = error.body if isinstance(error.body, dict) else {}
    found = body.get("error")
    cause: dict[str, Any] = found if isinstance(found, dict) else {"reason": str(found or error.body)[:500]}
    # The outer reason of a search is always "all shards failed"; the first shard's says why.
    if cause.get("failed_shards"):
        cause = cause["failed_shards"][0].get("reason", cause)
    error_type, reason = str(cause.get("type", error.message)), str(cause.get("reason"))
    unavailable = unavailable_for(error.status_code, error_type, reason)
    return unavailable or RefusalError(error.status_code, error_type, reason)
