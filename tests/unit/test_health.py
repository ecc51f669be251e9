"""The worker's health server."""

import pytest
from prometheus_client import CollectorRegistry, Counter

from indexer.health import HealthServer
from shared.errors import ConfigurationError
from tests.programs import get_status, metric


def test_liveness_and_readiness_are_asked_at_each_look_and_metrics_are_served() -> None:
    registry = CollectorRegistry()
    Counter("catalogue_things", "Things.", registry=registry).inc(3)
    state = {"live": True, "ready": False}
    with HealthServer("127.0.0.1", 0, registry, lambda: state["live"], lambda: state["ready"]) as server:
        base = f"http://127.0.0.1:{server.port}"
        assert (get_status(f"{base}/livez"), get_status(f"{base}/readyz")) == (200, 503)
        state.update(live=False, ready=True)
        assert (get_status(f"{base}/livez"), get_status(f"{base}/readyz")) == (503, 200)
        assert metric(str(server.port), "catalogue_things_total") == 3
        assert get_status(f"{base}/anything") == 404
    assert get_status(f"{base}/livez") == 0


def test_a_port_in_use_is_a_configuration_error_that_names_the_setting() -> None:
    registry = CollectorRegistry()
    with (
        HealthServer("127.0.0.1", 0, registry, bool, bool) as server,
        pytest.raises(ConfigurationError, match="CATALOGUE_METRICS_PORT"),
    ):
        HealthServer("127.0.0.1", server.port, registry, bool, bool)
