"""The API's OpenAPI description as the page at /docs shows it, for people."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from searcher.problems import PROBLEM_TYPE

_BASE = "http://localhost:8080"
# What FastAPI says where a route says nothing.
_SAYS_NOTHING = "Successful Response"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation may answer; `kinds` are media types with their schemas."""

    status: str
    about: str
    kinds: Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A route. `needs` are the scopes of its keys; `example` is a command that asks for it, or empty."""

    name: str
    tag: str
    method: str
    path: str
    about: str
    needs: Sequence[str]
    parameters: Sequence[Mapping[str, Any]]
    bodies: Sequence[tuple[str, Mapping[str, Any]]]
    answers: Sequence[Answer]
    problems: Sequence[Answer]
    example: str


def operations_of(api: Mapping[str, Any]) -> list[tuple[str, list[Operation]]]:
    """The operations of a description by tag, in its order."""
    found = [
        _operation(api, path, method, described)
        for path, methods in api["paths"].items()
        for method, described in methods.items()
    ]
    order = list(dict.fromkeys(one.tag for one in found))
    found.sort(key=lambda one: order.index(one.tag))
    return [(tag, list(ones)) for tag, ones in groupby(found, lambda one: one.tag)]


def prose(text: str) -> Markup:
    """A docstring as HTML: paragraphs, and `code`."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return Markup("").join(Markup("<p>{}</p>").format(inline(one)) for one in paragraphs)


def inline(text: str) -> Markup:
    """A line as HTML, with `code`."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _operation(api: Mapping[str, Any], path: str, method: str, described: Mapping[str, Any]) -> Operation:
    answers = [_answer(status, reply) for status, reply in described["responses"].items()]
    bodies = _kinds(described.get("requestBody", {}))
    return Operation(
        name=described["operationId"],
        tag=described["tags"][0],
        method=method.upper(),
        path=path,
        about=described["description"],
        needs=[scope for required in described.get("security", ()) for scopes in required.values() for scope in scopes],
        parameters=described.get("parameters", ()),
        bodies=bodies,
        answers=[one for one in answers if not _is_problem(one)],
        problems=sorted((one for one in answers if _is_problem(one)), key=lambda one: one.status),
        example=_example(api, path, bodies),
    )


def _answer(status: str, reply: Mapping[str, Any]) -> Answer:
    about = reply["description"]
    return Answer(
        "any other" if status == "default" else status, "" if about == _SAYS_NOTHING else about, _kinds(reply)
    )


def _is_problem(answer: Answer) -> bool:
    return any(media_type == PROBLEM_TYPE for media_type, _ in answer.kinds)


def _kinds(holder: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(media_type, content["schema"]) for media_type, content in holder.get("content", {}).items()]


def _example(api: Mapping[str, Any], path: str, bodies: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The first example of a body, as a command."""
    for media_type, schema in bodies:
        named = api["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if media_type == "multipart/form-data":
            files = [name for name, field in named["properties"].items() if field.get("format") == "binary"]
            return f"curl {_BASE}{path} {' '.join(f'-F {name}=@picture.jpg' for name in files)}"
        for example in named.get("examples", ()):
            text = json.dumps(example, ensure_ascii=False)
            return f"curl {shlex.quote(_BASE + path) if '{' in path else _BASE + path} --json {shlex.quote(text)}"
    return ""
