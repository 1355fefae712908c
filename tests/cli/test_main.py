from __future__ import annotations

import subprocess
import sys

import pytest

from hexcast import __version__

from .programs import run


def test_version() -> None:
    done = run("--version")
    assert (done.code, done.out) == (0, f"hexcast {__version__}\n")


def test_help_tells_of_all_commands() -> None:
    done = run("--help")
    assert done.code == 0
    for command in ("serve", "pub", "sub", "demo"):
        assert f"\n  {command} " in done.out
        assert run(command, "--help").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["--no-such-option"],
        ["pub"],
        ["sub"],
        ["sub", "t", "--way", "pigeon"],
        ["sub", "t", "--last", "-1"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(*arguments).code == 2


def test_help_loads_nothing_that_takes_long() -> None:
    program = (
        "import sys; from hexcast.cli import main\n"
        "sys.argv = ['hexcast', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx', 'websockets', 'uvloop', 'httptools', 'psutil', 'rich', 'h11'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=20, check=True
    )
    assert done.stderr == b"[]\n"


def test_what_is_no_url_is_wrong_usage() -> None:
    done = run("pub", "t", "x", "--url", "127.0.0.1:8066")
    assert done.code == 2
    assert "not the URL of a server" in done.err


@pytest.mark.parametrize("arguments", [["pub", "a//b", "x"], ["pub", "a//b"], ["pub", "a/*", "x"]])
def test_what_is_no_topic_is_wrong_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert "topic" in done.err
    assert done.err.count("\n") == 1
