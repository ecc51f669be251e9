"""`searcher keys` as an administrator types it."""

import json
from pathlib import Path

import pytest

from searcher.__main__ import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGUE_WORKBENCH_URL", f"sqlite://{tmp_path}/workbench.db")
    monkeypatch.chdir(tmp_path)


def test_a_secret_goes_to_standard_output_alone_so_that_a_script_can_keep_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["keys", "create", "ann", "--scope", "judge"]) == 0
    made = capsys.readouterr()
    assert made.out.startswith("catalogue_")
    assert made.out.count("\n") == 1
    assert "shown this once" in made.err
    assert main(["keys", "rotate", "ann", "--grace", "2h"]) == 0
    assert capsys.readouterr().out not in (made.out, "")
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "ann" in listed
    assert made.out.strip() not in listed


def test_keys_are_told_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "ann", "--scope", "judge", "--expires", "90d", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["name"], made["scope"], made["state"], made["made_by"]) == ("ann", "judge", "in use", "command line")
    assert main(["keys", "create", "bob", "--scope", "read", "--expires", "2999-01-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expires_at"] == "2999-01-01T00:00:00Z"
    assert main(["keys", "revoke", "bob", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "revoked"
    assert main(["keys", "list", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(key["name"], key["state"], "secret" in key) for key in listed] == [
        ("ann", "in use", False),
        ("bob", "revoked", False),
    ]


def test_what_can_not_be_done_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "ensure"]) == 0
    capsys.readouterr()
    for wrong, told in (
        (["create", "administrator", "--scope", "read"], "another name"),
        (["create", "local", "--scope", "read"], "kept for those who need no key"),
        (["create", "ann", "--scope", "read", "--expires", "2001-01-01"], "must lie ahead"),
        (["rotate", "nobody"], "there is no key nobody in use"),
        (["revoke", "nobody"], "searcher keys list"),
    ):
        assert main(["keys", *wrong]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1


@pytest.mark.parametrize("wrong", [["--scope", "all"], ["--scope", "read", "--expires", "soon"], []])
def test_a_scope_and_an_end_must_make_sense(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["keys", "create", "ann", *wrong])
    assert ended.value.code == 2
    assert "--scope" in capsys.readouterr().err or wrong[2:]


def test_help_teaches_the_scopes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "create", "--help"])
    told = capsys.readouterr().out
    for word in ("judge (also cases", "Authorization: Bearer", "/sign-in", "searcher keys create ann --scope judge"):
        assert word in told
