from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from hexcast import __version__
from tests.support.programs import SECONDS, Hexcast, run


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


def shell(line: str, server: Hexcast) -> tuple[int, str]:
    """What a shell's line with `hexcast` comes to, and what it says."""
    command = f"{shlex.quote(sys.executable)} -X dev -W error -m hexcast.cli"
    done = subprocess.run(
        ["sh", "-c", line.replace("hexcast", command)], capture_output=True, timeout=SECONDS,
        stdin=subprocess.DEVNULL, env={**os.environ, "HEXCAST_URL": server.url},
    )  # fmt: skip
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(("line", "says"), [
    ("hexcast pub t <&-", "standard input is closed"),
    ("hexcast pub t hi >/dev/full", "No space left"),
    ("hexcast sub t --since earliest --json >/dev/full", "No space left"),
    ("hexcast --version >/dev/full", "No space left"),
])  # fmt: skip
def test_a_stream_that_cannot_be_used_is_told_in_one_line(
    server: Hexcast, line: str, says: str
) -> None:
    assert shell("hexcast pub t first --end", server)[0] == 0
    code, err = shell(line, server)
    assert code == 1 and says in err and "Traceback" not in err


@pytest.mark.parametrize("line", [
    "hexcast sub t --since bogus", "hexcast pub t --event open x", "hexcast pub t --event '' x",
])  # fmt: skip
def test_what_can_only_be_wrong_is_wrong_usage(server: Hexcast, line: str) -> None:
    assert shell(line, server)[0] == 2
