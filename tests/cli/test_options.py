"""Settings on the command line, in the environment, in a file: types, defaults, precedence."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hexcast.cli.options import explanations, read_config, with_settings
from hexcast.settings import Settings


def run(
    *arguments: str, env: dict[str, str] | None = None, code: int = 0
) -> tuple[Settings | None, str]:
    """The settings that a command gets, and what is printed."""
    got: list[Settings] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @with_settings
    def command(settings: Settings) -> int:
        got.append(settings)
        return 0

    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"} | (env or {}))
    assert result.exit_code == code, result.output
    return (got[0] if got else None), result.output


def test_without_anything_the_defaults_hold() -> None:
    assert run()[0] == Settings()


def test_every_setting_has_an_option_and_its_explanation() -> None:
    text = run("--help")[1]
    for field in fields(Settings):
        assert "--" + field.name.replace("_", "-") in text
        assert explanations()[field.name]
    assert "Port to listen on" in text


def test_all_kinds_of_options() -> None:
    settings, _ = run(
        *("--port", "0", "--drain", "2.5", "--base-path", "/live", "--open"),
        *("--allow-origin", "https://a.example", "--allow-origin", "https://b.example"),
    )
    assert settings == Settings(
        port=0,
        drain=2.5,
        base_path="/live",
        open=True,
        allow_origin=("https://a.example", "https://b.example"),
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hexcast.toml"
    path.write_text(
        'port = 1\nhold-records = 7\nhold_bytes = 8\nopen = true\nallow_host = ["a", "b"]\n'
        "drain = 3\n"
    )
    return path


def test_the_command_line_is_over_the_environment_over_the_file(config: Path) -> None:
    settings, _ = run("--config", str(config))
    file = Settings(
        port=1, hold_records=7, hold_bytes=8, open=True, allow_host=("a", "b"), drain=3.0
    )
    assert settings == file
    env = {"HEXCAST_PORT": "2", "HEXCAST_HOLD_RECORDS": "20", "HEXCAST_ALLOW_HOST": "c d"}
    settings, _ = run("--hold-records", "300", "--config", str(config), env=env)
    assert settings is not None
    assert (settings.hold_bytes, settings.port, settings.hold_records) == (8, 2, 300)
    assert settings.allow_host == ("c", "d")


def test_the_environment_may_name_the_file(config: Path) -> None:
    settings, _ = run(env={"HEXCAST_CONFIG": str(config)})
    assert settings is not None
    assert settings.port == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "there is no setting 'prot'"),
        ('port = "1"', "port: Expected `int`, got `str`"),
        ("port = true", "port: Expected `int`, got `bool`"),
        ("allow_host = 'a'", "allow_host: Expected `array`"),
        ("hold-records = 1\nhold_records = 2", "set twice"),
        ("port = ", "Invalid value (at "),
        ("[server]\nport = 1", "there is no setting 'server'"),
    ],
)
def test_a_file_that_cannot_be_meant(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    settings, output = run("--config", str(path), code=2)
    assert settings is None
    assert message in output
    assert str(path) in output
    with pytest.raises(ValueError, match=r"bad\.toml"):
        read_config(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "65536"],
        ["--port", "-1"],
        ["--port", "http"],
        ["--drain", "-1"],
        ["--base-path", "live"],
        ["--base-path", "/live/"],
        ["--config", "/no/such/file.toml"],
        ["--no-such-option"],
        ["surplus"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(*arguments, code=2)[0] is None


def test_a_port_in_a_file_is_held_to_its_range(tmp_path: Path) -> None:
    path = tmp_path / "big.toml"
    path.write_text("port = 70000")
    run("--config", str(path), code=2)


def test_a_bad_environment_is_wrong_usage() -> None:
    values: dict[str, Any] = {"HEXCAST_PORT": "http"}
    assert run(env=values, code=2)[0] is None
