"""The API's description: complete, true, and what the client in deploy/client was made from."""

import filecmp
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from make_client import DESCRIPTION, HERE, PACKAGE, make_client

from searcher.page.docs import inline, prose
from searcher.problems import PROBLEM_TYPE
from searcher.web import api_description
from tests.described import check_reply


def operations() -> list[tuple[str, dict[str, Any]]]:
    found = api_description()["paths"]
    return [(path, operation) for path, methods in found.items() for operation in methods.values()]


def test_every_operation_has_its_own_name() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(names) == len(set(names))
    assert {"search", "open_case", "judge"} <= set(names)
    assert [name for name in names if not name.isidentifier() or "v1" in name] == []


def test_no_two_values_have_one_name() -> None:
    # The framework then names them by their modules, and the client has none of them.
    assert [name for name in api_description()["components"]["schemas"] if "__" in name] == []


def test_every_operation_says_what_it_does_and_answers() -> None:
    for path, operation in operations():
        assert operation["description"], path
        assert operation["tags"], path
        good = [reply for status, reply in operation["responses"].items() if status.startswith("2")]
        assert good, path
        for reply in good:
            assert all(content["schema"] for content in reply.get("content", {}).values()), path


def test_every_operation_under_v1_names_the_scope_that_it_needs() -> None:
    scopes = {
        operation["operationId"]: [scope for one in operation.get("security", []) for scope in one["key"]]
        for path, operation in operations()
        if path.startswith("/v1/")
    }
    assert [name for name, found in scopes.items() if len(found) != 1] == []
    assert (scopes["search"], scopes["judge"]) == (["read"], ["judge"])


def test_every_example_is_a_request_that_is_understood() -> None:
    schemas = api_description()["components"]["schemas"]
    examples = {name: schema["examples"] for name, schema in schemas.items() if "examples" in schema}
    assert "SearchRequest" in examples
    for name, shown in examples.items():
        checker = Draft202012Validator(schemas[name] | {"components": {"schemas": schemas}})
        for example in shown:
            checker.validate(example)


def test_a_description_is_shown_as_text_with_code() -> None:
    assert inline("`k` < <b>") == "<code>k</code> &lt; &lt;b&gt;"
    assert prose("One\nline.\n\nTwo.") == "<p>One\nline.</p><p>Two.</p>"


def test_every_problem_is_a_problem_document() -> None:
    for path, operation in operations():
        problems = {status: reply for status, reply in operation["responses"].items() if not status.startswith("2")}
        assert "default" in problems, path
        for status, reply in problems.items():
            assert list(reply["content"]) == [PROBLEM_TYPE], (path, status)


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (200, "application/json", b'{"bits": 1, "counts": [1, 2], "as_of": "now", "more": 1}'),
        (200, "application/json", b'{"bits": "many", "counts": [1, 2], "as_of": "now"}'),
        (200, "text/plain", b"1, 2"),
        (418, PROBLEM_TYPE, b'{"title": "Teapot"}'),
    ],
)
def test_a_reply_that_is_not_as_described_is_noticed(status: int, media_type: str, body: bytes) -> None:
    check_reply("POST", "/v1/histogram", 200, "application/json", b'{"bits": 1, "counts": [1, 2], "as_of": "now"}')
    with pytest.raises((ValidationError, AssertionError)):
        check_reply("POST", "/v1/histogram", status, media_type, body)


def test_the_client_is_made_from_the_api_as_it_is(tmp_path: Path) -> None:
    make_client(tmp_path)
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {
        path.relative_to(HERE).as_posix()
        for path in (HERE / DESCRIPTION, *(HERE / PACKAGE).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert made == kept, "run `make client`"
    assert filecmp.cmpfiles(tmp_path, HERE, made, shallow=False)[1:] == ([], []), "run `make client`"
