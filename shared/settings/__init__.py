"""Every setting of both processes, by subject: name, unit, default and reason. One `.env` serves both.

Only `__main__` builds a Settings; nothing else reads the environment. Precedence: a flag, then the environment, then
`.env`, then the default. A secret may come from a file: `CATALOGUE_KAFKA_PASSWORD_FILE` in place of
`CATALOGUE_KAFKA_PASSWORD`.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import ConfigurationError
from shared.settings.encoder import EncoderSettings
from shared.settings.indexer import IndexerSettings
from shared.settings.operating import OperatingSettings
from shared.settings.pictures import PictureSettings
from shared.settings.searcher import SearcherSettings
from shared.settings.servers import ServerSettings
from shared.settings.webhooks import WebhookSettings

ENV_FILE = ".env"
_SECRETS = ("kafka_password", "elasticsearch_api_key", "workbench_password", "webhook_secret")


# Lists show the fields of the last class first.
class Settings(
    OperatingSettings,
    WebhookSettings,
    SearcherSettings,
    PictureSettings,
    IndexerSettings,
    EncoderSettings,
    ServerSettings,
    BaseSettings,
):
    """The settings; the README's table is made of these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="CATALOGUE_", env_file=ENV_FILE, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in _SECRETS:
            path = values.get(f"{name}_file")
            if values.get(name):
                # The file is not where the secret comes from, and must not be read later either.
                values[f"{name}_file"] = None
            elif path:
                try:
                    values[name] = Path(path).read_text().strip()
                except OSError as error:
                    raise ValueError(f"{name}_file: {error.strerror}: {path}") from error
        return values

    def secret(
        self, name: Literal["kafka_password", "elasticsearch_api_key", "workbench_password", "webhook_secret"]
    ) -> str | None:
        """A secret as it is now: its file is read again, so that what an operator renews is used without a restart."""
        path: Path | None = getattr(self, f"{name}_file")
        known: SecretStr | None = getattr(self, name)
        if path is not None:
            # While a file is replaced it may be missing, or empty; then what was read at the start must do.
            with suppress(OSError):
                if text := path.read_text().strip():
                    return text
        return None if known is None else known.get_secret_value()


def load_settings(overrides: dict[str, Any]) -> Settings:
    """Settings from `overrides` (flags), the environment and `.env`; ConfigurationError names the first wrong one."""
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        where = f"CATALOGUE_{name.removeprefix('CATALOGUE_')}: " if name else ""
        raise ConfigurationError(f"{where}{first['msg'].removeprefix('Value error, ')}") from error


def _refuse_unknown_variables() -> None:
    """Refuse a misspelt setting; other names in `.env` belong to the other programs that read it (docker compose)."""
    known = {f"CATALOGUE_{name}".upper() for name in Settings.model_fields}
    given = {*os.environ, *dotenv_values(ENV_FILE)}
    unknown = sorted(name for name in given if name.startswith("CATALOGUE_") and name not in known)
    # The test suite's own variable is no setting of the product.
    unknown = [name for name in unknown if name != "CATALOGUE_TEST_DATA"]
    if unknown:
        raise ConfigurationError(f"{unknown[0]}: there is no such setting; `--help` lists them")


def settings_table() -> str:
    """The README's table of settings, as Markdown."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else f"`{plain(field.default)}`"
        rows.append(f"| `CATALOGUE_{name.upper()}` | {default} | {field.description} |".replace("|  |", "| |"))
    return "\n".join(rows)


def plain(default: object) -> str:
    """A setting's default as it would be written in `.env`."""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)
