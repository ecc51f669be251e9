"""The files around the processes agree with each other and with the code; what they start, the runbook tells to try."""

import re
from pathlib import Path

from shared.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILES = {name: (ROOT / "deploy" / f"{name}.Dockerfile").read_text() for name in ("indexer", "searcher")}


def test_containers_are_given_only_settings_that_exist() -> None:
    known = {f"CATALOGUE_{name}".upper() for name in Settings.model_fields}
    for text in (COMPOSE, *DOCKERFILES.values()):
        named = set(re.findall(r"^(?:ENV .*|\s*)(CATALOGUE_[A-Z0-9_]+)[:=]", text, re.MULTILINE))
        assert named
        assert named <= known


def test_every_variable_of_compose_is_told_in_the_example() -> None:
    told = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    variables = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert variables
    assert variables <= told


def test_both_images_share_the_layers_of_their_dependencies() -> None:
    heads = {text.split("# Downloaded weights")[0].split("ARG BASE", 1)[1] for text in DOCKERFILES.values()}
    assert len(heads) == 1
    assert "pip install" in heads.pop()


def test_programs_in_containers_are_no_root_and_tell_their_health() -> None:
    for name, text in DOCKERFILES.items():
        assert re.search(r"^USER 10001$", text, re.MULTILINE), name
        assert re.search(r"^HEALTHCHECK .*\n.*/livez", text, re.MULTILINE), name
    assert COMPOSE.count("read_only: true") == 1, "one anchor that every program of the project uses"
    assert len(re.findall(r"<<: \*(?:program|indexer)$", COMPOSE, re.MULTILINE)) == 5


def test_every_alert_has_an_entry_in_the_runbook_and_the_reverse() -> None:
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "deploy/alerts.yml").read_text())
    runbook = (ROOT / "deploy/README.md").read_text()
    assert alerts
    assert re.findall(r"^### (\w+)$", runbook, re.MULTILINE) == alerts


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    assert targets == set(re.findall(r"^([a-z-]+):.*## \w", makefile, re.MULTILINE))
