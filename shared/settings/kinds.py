"""What several subjects' settings are made of."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

MEBIBYTE = 1024 * 1024


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list in the environment, a tuple in the code."""
