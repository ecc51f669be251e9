"""Holds the replies that a test gets to the API's own description."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from searcher.web import api_description


@contextmanager
def described_client(app: FastAPI, base_url: str, **options: Any) -> Iterator[TestClient]:
    """A client that fails where a reply of an operation is not what the description says of it."""
    with TestClient(app, base_url=base_url, **{"follow_redirects": False, **options}) as client:
        client.event_hooks = {"response": [_look_at]}
        yield client


def check_reply(method: str, path: str, status: int, media_type: str, body: bytes) -> None:
    """Compare a reply with the description of its operation; `path` is still percent-encoded."""
    operation = _operation(method, path)
    if operation is None or status == HTTPStatus.NOT_MODIFIED:
        return
    described = operation["responses"].get(str(status)) or operation["responses"]["default"]
    kinds = described.get("content", {"": {}})
    assert media_type in kinds, f"{method} {path}: {status} {media_type} is not described"
    if media_type.endswith(("/json", "+json")):
        schema = kinds[media_type]["schema"]
        Draft202012Validator(schema | {"components": _description()["components"]}).validate(json.loads(body))


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
    path = response.request.url.raw_path.decode().partition("?")[0]
    media_type = response.headers.get("content-type", "").partition(";")[0]
    check_reply(response.request.method, path, response.status_code, media_type, response.read())
