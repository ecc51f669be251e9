"""Who is told of alerts and decisions."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from shared.settings.kinds import Names


class WebhookSettings(BaseModel):
    """Who is told of alerts and decisions."""

    webhook_urls: Names = Field(
        (),
        description="URLs that alerts and decisions are posted to, separated by commas. They are shown and logged, so "
        "they hold no secret; private addresses must be named in CATALOGUE_FETCH_ALLOWED_HOSTS.",
    )
    webhook_secret: SecretStr | None = Field(
        None, description="What they are signed with: whsec_ and 24 to 64 random bytes in base64 (Standard Webhooks)."
    )
    webhook_secret_file: Path | None = Field(None, description="File that holds it.")
    webhook_seconds: float = Field(10.0, gt=0, le=60, description="Seconds that a receiver may take to answer.")
    webhook_tries: int = Field(
        10,
        ge=1,
        le=1000,
        description="Tries of a delivery, with pauses that double from 5 s; then it is kept as failed. Ten take 43 "
        "minutes.",
    )
    webhook_pause_seconds_max: float = Field(3600.0, gt=0, le=86_400, description="Longest of these pauses.")
