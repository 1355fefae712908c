from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from hexcast.cli.formatting import gap_message, human, json_line
from hexcast.client.messages import Gap, Record
from tests.support.programs import Hexcast, hexcast, http1_only, serving


def test_it_follows_until_ctrl_c(server: Hexcast, topic: str) -> None:
    server.post(topic, "old")
    with Hexcast("sub", topic, "--last", "1", "--json", "--url", server.url) as program:
        first = json.loads(program.line() or "")
        assert (first["topic"], first["data"]) == (topic, "old")
        program.until("connected (sse)")
        server.post(topic, "new")
        assert json.loads(program.line() or "")["data"] == "new"
        assert program.stop(signal.SIGINT) == 0
    assert len(program.seen["err"]) == 1


def test_json_lines_are_what_the_server_sent(server: Hexcast, topic: str) -> None:
    server.post(topic, '{"n": 1.00e0}', type="application/json")
    server.post(topic, "x", "?end=1")
    done = hexcast("sub", topic, "--since", "earliest", "--json", "--url", server.url)
    assert done.code == 0
    first, second = done.out.splitlines()
    assert '"data":{"n": 1.00e0}' in first
    assert json.loads(second)["end"] is True
    assert "ended" in done.err


def test_plain_lines_for_pipes(server: Hexcast, topic: str) -> None:
    server.post(topic, "two\nlines", "?event=flash")
    server.post(topic, "\x1b[2J", "?end=1")
    done = hexcast("sub", topic, "--since", "earliest", "--url", server.url)
    first, second = done.out.splitlines()
    assert first.endswith(f"  {topic}  flash  two\\nlines")
    assert second.endswith(f"  {topic}  \\x1b[2J  end")  # nothing that a terminal would act on


def test_colours_for_a_terminal(server: Hexcast, topic: str) -> None:
    server.post(topic, "[bold]text[/bold] " + "x" * 300)
    with Hexcast("sub", topic, "--last", "1", "--url", server.url, terminal="out") as program:
        line = program.line() or ""
        assert "\x1b[36m" in line  # the topic in cyan
        assert "[bold]text[/bold] " + "x" * 300 in line  # neither markup nor wrapped
        assert program.stop(signal.SIGINT) == 0


def test_several_topics_and_a_cursor(server: Hexcast, topic: str) -> None:
    first = server.post(f"{topic}/a/x", "1")
    server.post(f"{topic}/b", "2")
    server.post(f"{topic}/c", "3")
    with Hexcast(
        *("sub", f"{topic}/a/*", f"{topic}/b", "--since", first, "--json", "--url", server.url)
    ) as program:
        assert json.loads(program.line() or "")["data"] == "2"
        server.post(f"{topic}/a/y", "4")
        assert json.loads(program.line() or "")["data"] == "4"


def test_a_gap_is_told_on_both_outputs() -> None:
    with serving("serve", "--hold-records", "2") as server:
        first = server.post("t", "0")
        for n in range(1, 6):
            server.post("t", str(n), "?end=1" if n == 5 else "")
        done = hexcast("sub", "t", "--since", first, "--json", "--url", server.url)
        gap, *records = map(json.loads, done.out.splitlines())
        assert gap["gap"]["after"] == first
        assert gap["gap"]["topics"] == ["t"]
        assert [record["data"] for record in records] == ["4", "5"]
        assert "no longer held" in done.err
        plain = hexcast("sub", "t", "--since", first, "--url", server.url)
        assert len(plain.out.splitlines()) == 2
        assert "no longer held" in plain.err


def test_it_comes_back_after_a_restart() -> None:
    with serving("serve", "--retry", "0.01") as server:
        url = server.url
        server.post("t", "before")
        program = Hexcast("sub", "t", "--last", "1", "--json", "--url", url)
        with program:
            assert json.loads(program.line() or "")["data"] == "before"
            server.stop(signal.SIGTERM)
            program.until("trying again in")
            with serving("serve", port=int(url.rpartition(":")[2])) as again:
                program.until("connected")
                again.post("t", "after")
                # Another epoch of a log in memory: what was lost is not known, so it is told.
                assert "gap" in json.loads(program.line() or "")
                assert json.loads(program.line() or "")["data"] == "after"


@pytest.mark.parametrize("json_option", [[], ["--json"]], ids=["plain", "json"])
def test_a_closed_pipe_ends_it_quietly(server: Hexcast, topic: str, json_option: list[str]) -> None:
    """As `hexcast sub … | head -1`: it ends without waiting for another record."""
    server.post(topic, "1")
    command = ["sub", topic, "--last", "1", *json_option, "--url", server.url]
    reading, writing = os.pipe()
    with Hexcast(*command, stdout=writing) as program:
        os.close(writing)
        head = subprocess.run(["head", "-1"], stdin=reading, capture_output=True, timeout=20)
        os.close(reading)
        assert head.stdout.count(b"\n") == 1
        assert program.wait() == 0
    assert program.seen["err"] == ["hexcast: connected (sse)"]


def test_a_refusal_is_told_in_one_line(server: Hexcast, topic: str) -> None:
    done = hexcast("sub", *(f"{topic}/{n}" for n in range(257)), "--url", server.url)
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("hexcast: Request-URI Too Long: ")
    assert done.err.count("\n") == 1


def test_push_over_https(tmp_path: Path) -> None:
    with serving("serve", "--tls-dev", env={"XDG_CACHE_HOME": str(tmp_path)}) as server:
        url = ("--url", server.url)
        cert = ("--ca", str(tmp_path / "hexcast" / "tls" / "dev.pem"))
        assert hexcast("pub", "t", "one", "--insecure", *url).code == 0
        refused = hexcast("sub", "t", "--way", "push", *url)
        assert refused.code == 1
        assert "is not trusted: self-signed certificate" in refused.err
        with Hexcast("sub", "t", "--way", "push", "--last", "1", "--json", *cert, *url) as program:
            assert json.loads(program.line() or "")["data"] == "one"
            program.until("connected (push)")
            assert hexcast("pub", "t", "two", "--end", *cert, *url).code == 0
            assert json.loads(program.line() or "")["data"] == "two"
            assert program.wait() == 0
        wrong = hexcast("sub", "t", "--ca", "/nowhere.pem", *url)
        assert (wrong.code, wrong.out) == (2, "")


def test_the_way_that_serves_in_place_of_push_is_told(server: Hexcast, topic: str) -> None:
    server.post(topic, "x")
    with http1_only(server.url) as url:
        command = ["sub", topic, "--way", "push", "--last", "1", "--json", "--url", url]
        with Hexcast(*command) as program:
            assert json.loads(program.line() or "")["data"] == "x"
            program.until("connected (sse: no push over HTTP/1.1)")
            assert program.stop(signal.SIGINT) == 0


RECORD = Record("k-7", "a/b", "post", {"n": 1}, None, "application/json", None, raw=b'{"id":"k-7"}')


def test_how_records_look() -> None:
    assert human(RECORD) == 'a/b  {"n":1}'
    assert human(Record("k-7", "t", "put", b"\0\1")) == "t  <2 bytes>"
    assert human(Record("k-7", "t", "delete", None)) == "t  deleted"
    assert human(Record("k-7", "t", "post", "\u202ex\x9b")) == "t  \\u202ex\\x9b"
    assert human(Record("k-7", "t", "post", float("inf"), time="soon")) == "soon  t  null"
    clock, _, rest = human(
        Record("k", "t", "post", "x", time="2026-11-02T10:11:12.345Z")
    ).partition("  ")
    assert clock.endswith(":12.345")
    assert rest == "t  x"
    assert json_line(RECORD) == b'{"id":"k-7"}\n'
    assert json_line(Gap("a", "b", ("t",), b'{"after":"a"}')) == b'{"gap":{"after":"a"}}\n'
    assert gap_message(Gap("k-1", "k-5", ("t", "u"))) == (
        "records of t, u after k-1 and before k-5 are no longer held: they are lost"
    )
