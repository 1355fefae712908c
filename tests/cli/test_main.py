from __future__ import annotations

import subprocess
import sys

from hexcast import __version__

from .programs import hexcast


def test_version() -> None:
    done = hexcast("--version")
    assert (done.returncode, done.stdout) == (0, f"hexcast {__version__}\n")


def test_help_tells_of_all_commands() -> None:
    done = hexcast("--help")
    assert done.returncode == 0
    for command in ("serve", "pub", "sub", "demo"):
        assert f"\n  {command} " in done.stdout
        assert hexcast(command, "--help").returncode == 0


def test_wrong_usage() -> None:
    for arguments in ([], ["no-such-command"], ["--no-such-option"], ["pub"], ["sub"]):
        assert hexcast(*arguments).returncode == 2
    assert hexcast("sub", "t", "--way", "push").returncode == 2
    assert hexcast("sub", "t", "--last", "-1").returncode == 2


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


def test_what_is_no_url_or_topic_is_wrong_usage() -> None:
    done = hexcast("pub", "t", "x", "--url", "127.0.0.1:8066")
    assert done.returncode == 2
    assert "not the URL of a server" in done.stderr
    for command in (["pub", "a//b", "x"], ["pub", "a//b"], ["sub", "a//b"], ["pub", "a/*", "x"]):
        done = hexcast(*command)
        assert done.returncode == 2
        assert "topic" in done.stderr
        assert "Traceback" not in done.stderr
