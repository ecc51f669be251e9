"""Errors as problem documents (RFC 9457). Every text is from a closed set: nothing of a parser or of a server gets out.

`detail` tells a person, `reason` tells a program; both are the same for the API and for the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from searcher.backend import EncoderMissingError, QueryTimeoutError
from searcher.duplicates.service import RunInProgressError
from searcher.images import PictureMissingError, ThumbnailMissingError
from searcher.key_ring import KeysUnknownError
from searcher.people import KeyWrongError, ScopeMissingError, SignInNeededError, TooManyWrongKeysError
from searcher.strategies.resident import NotResidentError
from searcher.wire import ProblemDocument
from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.decisions import DecisionMissingError
from searcher.workbench.duplicate_groups import RunMissingError
from searcher.workbench.keys import KeyMissingError, KeyRefusedError
from searcher.workbench.ledger import CaseMissingError, EvidenceMissingError
from searcher.workbench.outbox import DeliveryMissingError
from searcher.workbench.samples import SampleMissingError
from searcher.workbench.watches import WatchMissingError
from shared.errors import (
    CatalogueError,
    ConfigurationError,
    DependencyUnavailableError,
    ImageNotVisibleError,
    QueryInvalidError,
    RejectedError,
    RejectionReason,
)

PROBLEM_TYPE = "application/problem+json"
_PROBLEM_SCHEMA = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
PROBLEM_RESPONSE: dict[str, Any] = {"content": {PROBLEM_TYPE: {"schema": _PROBLEM_SCHEMA}}}
"""How the API's own description tells of a problem document."""

_CHALLENGE = 'Bearer realm="catalogue"'
_RETRY_SECONDS = 5
_FIELD_ERRORS_MAX = 10
_FIELD_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, as a client is told. `fields` names the wrong fields of a request with what is wrong."""

    status: HTTPStatus
    reason: str
    detail: str
    retry_after_seconds: int | None = None
    fields: Sequence[Mapping[str, str]] = ()
    challenge: str | None = None  # What WWW-Authenticate says.

    def response(self) -> JSONResponse:
        """The problem document."""
        headers = {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}
        if self.challenge is not None:
            headers["WWW-Authenticate"] = self.challenge
        return JSONResponse(self.document(), self.status, headers, media_type=PROBLEM_TYPE)

    def document(self) -> dict[str, Any]:
        """The problem document as JSON is made of it."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "reason": self.reason,
        }
        return body | ({"fields": list(self.fields)} if self.fields else {})


BUG = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "This is a bug of the searcher; its log tells more.")
NOT_JSON = Problem(HTTPStatus.BAD_REQUEST, "body_not_json", "The request's body can't be read.")
TOO_LARGE = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body_too_large",
    "The request's body is larger than CATALOGUE_UPLOAD_BYTES_MAX allows.",
)
OVERLOADED = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Too many requests are being answered just now.", _RETRY_SECONDS
)
CROSS_SITE = Problem(HTTPStatus.FORBIDDEN, "cross_site", "Requests from pages of other sites are refused.")
WRONG_HOST = Problem(
    HTTPStatus.MISDIRECTED_REQUEST, "wrong_host", "This searcher answers by its loopback address or localhost only."
)

_REJECTIONS: Mapping[RejectionReason, tuple[HTTPStatus, str]] = {
    RejectionReason.URL_FORBIDDEN: (HTTPStatus.UNPROCESSABLE_ENTITY, "This URL may not be fetched."),
    RejectionReason.IMAGE_NOT_FOUND: (HTTPStatus.UNPROCESSABLE_ENTITY, "There is no picture behind this URL."),
    RejectionReason.IMAGE_UNAVAILABLE: (HTTPStatus.BAD_GATEWAY, "The picture's host did not answer with a picture."),
    RejectionReason.IMAGE_TOO_LARGE: (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The picture has more bytes or pixels than are allowed.",
    ),
    RejectionReason.IMAGE_FORMAT_UNSUPPORTED: (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "This is not a JPEG, PNG or WebP picture.",
    ),
    RejectionReason.IMAGE_UNDECODABLE: (HTTPStatus.UNPROCESSABLE_ENTITY, "The picture is damaged or cut short."),
    RejectionReason.EMBEDDING_NOT_FINITE: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The picture gives no usable embedding.",
    ),
}


_AWAY = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "store_unavailable",
    "The store or the decoder is away. Try again in a few seconds.",
    _RETRY_SECONDS,
)
# The first kind that fits counts.
_PROBLEMS: Sequence[tuple[type[CatalogueError], Problem]] = (
    (ImageNotVisibleError, Problem(HTTPStatus.NOT_FOUND, "image_not_visible", "No visible image has this id.")),
    (ThumbnailMissingError, Problem(HTTPStatus.NOT_FOUND, "thumbnail_missing", "This image has no thumbnail now.")),
    (PictureMissingError, Problem(HTTPStatus.NOT_FOUND, "picture_missing", "The picture itself can't be had now.")),
    (
        EncoderMissingError,
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "encoder_missing",
            "No encoder is active yet. Run `indexer fit`; the searcher begins by itself.",
            _RETRY_SECONDS,
        ),
    ),
    (
        QueryTimeoutError,
        Problem(HTTPStatus.GATEWAY_TIMEOUT, "timeout", "The answer took longer than a query may wait."),
    ),
    (
        NotResidentError,
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "not_resident",
            "The codes are not in memory: still being filled, switched off, or too many. Other strategies may answer.",
            _RETRY_SECONDS,
        ),
    ),
    (WatchMissingError, Problem(HTTPStatus.NOT_FOUND, "watch_missing", "There is no such watch.")),
    (DecisionMissingError, Problem(HTTPStatus.NOT_FOUND, "decision_missing", "There is no such decision.")),
    (DeliveryMissingError, Problem(HTTPStatus.NOT_FOUND, "delivery_missing", "There is no such delivery.")),
    (
        RunInProgressError,
        Problem(
            HTTPStatus.CONFLICT, "run_in_progress", "This searcher is looking for duplicates already. Wait for it."
        ),
    ),
    (RunMissingError, Problem(HTTPStatus.NOT_FOUND, "run_missing", "There is no such run, or no such group in it.")),
    (CaseMissingError, Problem(HTTPStatus.NOT_FOUND, "case_missing", "There is no such case.")),
    (SampleMissingError, Problem(HTTPStatus.NOT_FOUND, "sample_missing", "No sample of this case was drawn yet.")),
    (EvidenceMissingError, Problem(HTTPStatus.NOT_FOUND, "evidence_missing", "No picture with this digest is kept.")),
    (
        WorkbenchUnavailableError,
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "workbench_unavailable",
            "The database of cases and judgements is away. Searches go on; try again in a few seconds.",
            _RETRY_SECONDS,
        ),
    ),
    (
        SignInNeededError,
        Problem(
            HTTPStatus.UNAUTHORIZED,
            "key_needed",
            "Nobody is signed in. Sign in, or send a key: Authorization: Bearer …",
            challenge=_CHALLENGE,
        ),
    ),
    (
        KeyWrongError,
        Problem(
            HTTPStatus.UNAUTHORIZED,
            "key_wrong",
            "There is no such key, or it has expired or was revoked.",
            challenge=f'{_CHALLENGE}, error="invalid_token"',
        ),
    ),
    (
        TooManyWrongKeysError,
        Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_wrong_keys", "Too many wrong keys came from this address.", 60),
    ),
    (
        KeysUnknownError,
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "keys_unknown",
            "The database of keys is away, so nobody can be let in. Try again in a few seconds.",
            _RETRY_SECONDS,
        ),
    ),
    (KeyMissingError, Problem(HTTPStatus.NOT_FOUND, "key_missing", "There is no key in use of this name.")),
    (DependencyUnavailableError, _AWAY),
    (ConfigurationError, _AWAY),
)


def problem_of(error: CatalogueError) -> Problem:
    """What a client is told of an error."""
    match error:
        case RejectedError():
            status, detail = _REJECTIONS.get(error.reason, (HTTPStatus.UNPROCESSABLE_ENTITY, "The seed is refused."))
            return Problem(status, error.reason.value, detail)
        case QueryInvalidError():
            # These texts are our own, and say what a query must be.
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "query_invalid", _sentence(str(error)))
        case KeyRefusedError():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "key_refused", _sentence(str(error)))
        case ScopeMissingError(needed=needed):
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{needed}"'
            detail = f"This needs the scope {needed}, which your key or your groups do not have."
            return Problem(HTTPStatus.FORBIDDEN, "scope_missing", detail, challenge=challenge)
    return next((problem for kind, problem in _PROBLEMS if isinstance(error, kind)), BUG)


def problem_of_status(status: int) -> Problem:
    """What a client is told where only a status is known (no such route, a wrong method)."""
    if status == TOO_LARGE.status:
        return TOO_LARGE
    known = HTTPStatus(status)
    return Problem(known, known.name.lower(), known.description or known.phrase)


def problem_of_fields(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """What a client is told of a request that pydantic refused; `errors` as pydantic lists them."""
    if any(error["type"] == "json_invalid" for error in errors):
        return NOT_JSON
    fields = [
        {"field": _field_name(error["loc"]), "problem": error["msg"].removeprefix("Value error, ")}
        for error in errors[:_FIELD_ERRORS_MAX]
    ]
    detail = "; ".join(": ".join(filter(None, field.values())) for field in fields)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "query_invalid", _sentence(detail), fields=fields)


def _field_name(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location if part != "body")[:_FIELD_CHARACTERS_MAX]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
