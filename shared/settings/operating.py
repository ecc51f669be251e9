"""What tells of a process: metrics and logs."""

from typing import Literal

from pydantic import BaseModel, Field


class OperatingSettings(BaseModel):
    """What tells of a process: metrics and logs."""

    metrics_host: str = Field("127.0.0.1", description="Address of the worker's /metrics, /livez and /readyz.")
    metrics_port: int = Field(9108, ge=0, le=65535, description="Port of the worker's /metrics, /livez and /readyz.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, JSON otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
