"""Settings as flags, and errors as exit codes."""

import argparse
from collections.abc import Callable

import pytest

from shared.command_line import add_command, new_parser, positive, run, settings_from
from shared.errors import BadInputHaltError, ConfigurationError, StoreUnavailableError
from shared.settings import Settings


def call(action: Callable[[argparse.Namespace], int], *arguments: str) -> int:
    parser, subcommands = new_parser("program", "Does things.")
    add_command(subcommands, "act", action, "Acts.")
    return run(parser, ["act", *arguments])


def test_every_setting_is_a_flag_that_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGUE_WINDOW_MONTHS", "5")
    monkeypatch.setenv("CATALOGUE_BITS", "64")
    seen: list[Settings] = []

    def action(arguments: argparse.Namespace) -> int:
        seen.append(settings_from(arguments))
        return 0

    assert call(action, "--window-months", "7", "--thumbnails", "false", "--fetch-allowed-hosts", "a, b:81") == 0
    (settings,) = seen
    assert (settings.window_months, settings.bits, settings.thumbnails) == (7, 64, False)
    assert settings.fetch_allowed_hosts == ("a", "b:81")


def test_help_names_the_list_of_settings_which_tells_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call(lambda _: 0, "--help")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "--help-settings" in told
    assert "--window-months" not in told
    with pytest.raises(SystemExit) as ended:
        call(lambda _: 0, "--help-settings")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert [name for name in Settings.model_fields if f"--{name.replace('_', '-')} " not in told] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("CATALOGUE_BITS: no"), 2),
        (StoreUnavailableError("the store is away"), 3),
        (BadInputHaltError("too large"), 4),
        (ZeroDivisionError("oops"), 70),
    ],
)
def test_errors_become_exit_codes_and_only_a_bug_has_a_traceback(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def action(_: argparse.Namespace) -> int:
        raise error

    assert call(action) == code
    told = capsys.readouterr().err
    assert str(error) in told
    assert ("Traceback" in told) is (code == 70)
    assert code == 70 or told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--window-months", "0"], "CATALOGUE_WINDOW_MONTHS"),
        (["--http-port", "many"], "CATALOGUE_HTTP_PORT"),
        (["--bits", "100"], "CATALOGUE_BITS"),
        (["--kafka-password-file", "/no/such/file"], "kafka_password_file"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(lambda parsed: settings_from(parsed).window_months, *arguments) == 2
    told = capsys.readouterr().err
    assert named in told
    assert told.count("\n") == 1


def test_a_secret_may_come_from_a_file_and_is_masked_where_settings_are_shown(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("secrets") / "password"
    path.write_text("hunter2\n")
    settings = Settings(_env_file=None, kafka_password_file=path)
    assert settings.kafka_password is not None
    assert settings.kafka_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump(mode="json"))


def test_a_secret_file_is_read_again_and_missing_it_for_a_moment_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("secrets") / "key"
    path.write_text("old")
    settings = Settings(_env_file=None, elasticsearch_api_key_file=path)
    path.write_text("new\n")
    assert settings.secret("elasticsearch_api_key") == "new"
    path.unlink()
    assert settings.secret("elasticsearch_api_key") == "old"
    assert settings.secret("kafka_password") is None


def test_a_secret_that_is_given_counts_more_than_its_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("secrets") / "password"
    path.write_text("in the file")
    settings = Settings(_env_file=None, kafka_password="given", kafka_password_file=path)
    assert settings.secret("kafka_password") == "given"


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_a_count_is_at_least_one(text: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=positive)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--limit", text])
    assert caught.value.code == 2
