"""Holds the replies that a test gets to the API's own description."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from searcher.web import api_description


class Reply(Protocol):
    """What is looked at of a reply."""

    status_code: int
    headers: Mapping[str, str]

    def json(self) -> Any: ...


@contextmanager
def described_client(app: FastAPI, base_url: str, *, follow_redirects: bool = False) -> Iterator[TestClient]:
    """A client that fails where a reply of an operation is not what the description says of it."""
    with TestClient(app, base_url=base_url, follow_redirects=follow_redirects) as client:
        client.event_hooks = {"response": [_look_at]}
        yield client


def check_reply(method: str, path: str, reply: Reply) -> None:
    """Compare a reply with the description of its operation; `path` is still percent-encoded."""
    operation = _operation(method, path)
    if operation is None or reply.status_code == 304:
        return
    responses = operation["responses"]
    described = responses.get(str(reply.status_code)) or responses["default"]
    media_type = reply.headers["content-type"].partition(";")[0]
    assert media_type in described["content"], f"{method} {path}: {reply.status_code} {media_type} is not described"
    if media_type.endswith("json") and "ndjson" not in media_type:
        schema = described["content"][media_type]["schema"]
        Draft202012Validator(schema | {"components": _description()["components"]}).validate(reply.json())


@cache
def _description() -> dict[str, Any]:
    return api_description()


def _operation(method: str, path: str) -> dict[str, Any] | None:
    # The first that fits, as for the routes. Image ids may hold a plain slash.
    for template, operations in _description()["paths"].items():
        pattern = re.sub(r"\\{(\w+)\\}", lambda name: ".+" if name[1] == "image_id" else "[^/]+", re.escape(template))
        if method.lower() in operations and re.fullmatch(pattern, path):
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


def _look_at(response: Any) -> None:
    response.read()
    request = response.request
    check_reply(request.method, request.url.raw_path.decode().partition("?")[0], response)
