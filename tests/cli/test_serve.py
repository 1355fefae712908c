from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from hexcast import __version__
from tests.support.programs import Hexcast, run, serving


def test_the_start_line_says_where_it_is_and_what_it_promises() -> None:
    with serving("serve") as server:
        (line,) = server.seen["err"]
        assert server.url.startswith("http://127.0.0.1:")
        assert f"version {__version__} " in line
        assert "survives: nothing" in line
        with urllib.request.urlopen(server.url + "/healthz", timeout=5) as got:
            assert json.load(got)["version"] == __version__
        assert server.stop(signal.SIGTERM) == 0
        assert server.seen["out"] == []


def test_ctrl_c_ends_it_cleanly() -> None:
    with serving("serve") as server:
        assert server.stop(signal.SIGINT) == 0
        assert len(server.seen["err"]) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_others_are_not_served_without_being_told_to(host: str) -> None:
    done = run("serve", "--host", host, "--port", "0")
    assert done.code == 2
    assert "--open" in done.err
    assert host in done.err


def test_open_serves_others() -> None:
    with serving("serve", "--host", "0.0.0.0", "--open") as server:
        assert server.stop(signal.SIGTERM) == 0


def test_a_port_in_use_is_told() -> None:
    with serving("serve") as server:
        port = server.url.rpartition(":")[2]
        done = run("serve", "--port", port)
        assert done.code == 1
        assert port in done.err
        assert "Address already in use" in done.err
        assert "Traceback" not in done.err


def test_an_unknown_log_is_wrong_usage() -> None:
    done = run("serve", "--port", "0", "--log", "papyrus")
    assert done.code == 2
    assert "papyrus" in done.err


def test_settings_reach_the_server(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('base_path = "/live"\nhold_records = 3\n')
    with serving("serve", "--config", str(path)) as server:
        assert server.url.endswith("/live")
        for n in range(5):
            server.post("t", str(n))
        assert [record["data"] for record in server.held("t")] == ["2", "3", "4"]


def test_the_environment_reaches_the_server() -> None:
    with Hexcast("serve", env={"HEXCAST_PORT": "0"}, strict=False) as server:
        assert ":8066" not in server.until("serves")


def test_a_second_signal_does_not_spoil_the_end() -> None:
    for _ in range(5):
        with serving("serve") as server:
            server.process.send_signal(signal.SIGTERM)
            # As fast as it can be done, for as long as there is a process.
            while server.process.poll() is None:
                server.process.send_signal(signal.SIGTERM)
            assert server.wait() == 0
