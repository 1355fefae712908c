from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hexcast.cli.pub import LINE_BYTES, Publication, messages_of
from hexcast.client.encoding import Message
from hexcast.client.lines import TooLong
from tests.support.programs import Done, Hexcast, hexcast, run, serving, wait_until


def pub(server: Hexcast, *arguments: str, input: bytes | None = None) -> Done:
    command = ("pub", *arguments, "--url", server.url)
    return run(*command) if input is None else hexcast(*command, input=input)


@pytest.mark.parametrize(
    ("data", "type", "read"),
    [
        ("hello", "text/plain; charset=utf-8", "hello"),
        ('{"n": 1.0}', "application/json", {"n": 1.0}),
        ("12", "application/json", 12),
        ("", "text/plain; charset=utf-8", ""),
    ],
)
def test_one_record(server: Hexcast, topic: str, data: str, type: str, read: Any) -> None:
    done = pub(server, topic, data)
    assert done.code == 0
    record = server.get(topic)
    assert (record["data"], record["type"], record["op"]) == (read, type, "post")
    assert done.out == record["id"] + "\n"
    assert done.err == ""


def test_bytes_of_the_shell_that_are_no_utf8(server: Hexcast, topic: str) -> None:
    assert pub(server, topic, os.fsdecode(b"a\xffb")).code == 0
    assert server.get(topic)["type"] == "application/octet-stream"


def test_all_options(server: Hexcast, topic: str) -> None:
    options = ("--event", "e", "--type", "text/x-mine", "--key", "k", "--end")
    first = pub(server, topic, "1", *options)
    assert first.code == 0
    record = server.get(topic)
    assert (record["event"], record["type"], record["end"]) == ("e", "text/x-mine", True)
    assert pub(server, topic, "1", *options).out == first.out  # published once


def test_put(server: Hexcast, topic: str) -> None:
    assert pub(server, topic, "1", "--put").code == 0
    assert server.get(topic)["op"] == "put"
    done = pub(server, topic, "2")
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("hexcast: Conflict: ")
    assert done.err.count("\n") == 1


def test_no_server_is_told_in_one_line() -> None:
    with serving("serve") as server:
        url = server.url
    done = run("pub", "t", "x", "--url", url)
    assert done.code == 1
    assert done.err == f"hexcast: cannot reach {url}: Connection refused\n"


def test_the_server_may_be_named_by_the_environment(server: Hexcast, topic: str) -> None:
    done = run("pub", topic, "x", env={"HEXCAST_URL": server.url, "HEXCAST_TOKEN": "s3"})
    assert done.code == 0
    assert server.get(topic)["data"] == "x"


def test_lines_of_standard_input(server: Hexcast, topic: str) -> None:
    text = b'one\r\n\n{"two": 2}\n\xff\nlast without an end'
    done = pub(server, topic, input=text)
    assert done.code == 0
    assert [record["data"] for record in server.held(topic)] == [
        *("one", "", {"two": 2}, {"base64": "/w=="}, "last without an end")
    ]
    assert done.out == ""
    assert "5 acknowledged" in done.err


def test_no_lines_at_all(server: Hexcast, topic: str) -> None:
    done = pub(server, topic, input=b"")
    assert done.code == 0
    assert "0 acknowledged" in done.err


def test_each_line_goes_out_at_once(server: Hexcast, topic: str) -> None:
    with Hexcast("pub", topic, "--url", server.url, stdin=subprocess.PIPE) as program:
        for n in range(5):
            program.write(f"line {n}\n")
            records = wait_until(lambda n=n: server.held(topic)[n:])
            assert [record["data"] for record in records] == [f"line {n}"]
        program.write("half")
        program.end_input()
        assert program.wait() == 0
    assert server.get(topic)["data"] == "half"
    assert "6 acknowledged" in program.seen["err"][-1]


def test_refused_lines_are_told_and_counted(server: Hexcast, topic: str) -> None:
    server_state = topic + "/state"
    assert pub(server, server_state, "1", "--put").code == 0
    done = pub(server, server_state, input=b"line\n" * 30)
    assert done.code == 1
    assert "0 acknowledged, 30 refused" in done.err
    assert done.err.count("Conflict") == 10


def test_end_marks_the_last_line_alone(server: Hexcast, topic: str) -> None:
    assert pub(server, topic, "--end", input=b"a\nb\nc\n").code == 0
    assert [(r["data"], r.get("end")) for r in server.held(topic)] == [
        *(("a", None), ("b", None), ("c", True))
    ]


def test_a_key_makes_a_second_run_publish_nothing(server: Hexcast, topic: str) -> None:
    for _ in range(2):
        assert pub(server, topic, "--key", "run", input=b"a\nb\n").code == 0
    assert [record["data"] for record in server.held(topic)] == ["a", "b"]


def test_many_lines(server: Hexcast, topic: str) -> None:
    text = b"".join(b"line %d\n" % n for n in range(5000))
    done = pub(server, topic, input=text)
    assert done.code == 0
    assert "5,000 acknowledged" in done.err
    assert server.get(topic)["data"] == "line 4999"


def test_a_terminal_sees_count_and_rate(server: Hexcast, topic: str) -> None:
    with Hexcast(
        "pub", topic, "--url", server.url, stdin=subprocess.PIPE, terminal="err"
    ) as program:
        program.write("a\nb\n")
        assert program.until("2 acknowledged, 0 under way").endswith("/s")
        assert program.stop(signal.SIGINT) == 1
    assert "2 acknowledged in" in program.seen["err"][-1]
    assert not [line for line in program.seen["err"] if "Traceback" in line]


def test_it_waits_for_a_server_that_is_away() -> None:
    with serving("serve", "--retry", "0.01") as server:
        url = server.url
    with Hexcast("pub", "t", "--url", url, stdin=subprocess.PIPE) as program:
        program.write("a\n")
        program.until("Connection refused; trying again")
        with serving("serve", port=int(url.rpartition(":")[2])) as server:
            program.until("connected")
            program.write("b\n")
            program.end_input()
            assert program.wait() == 0
            assert [record["data"] for record in server.held("t")] == ["a", "b"]


async def lines(*given: bytes | TooLong) -> AsyncIterator[bytes | TooLong]:
    for line in given:
        yield line


async def test_messages_of_lines() -> None:
    refused: list[str] = []
    publication = Publication("t", "put", "e", None, "k", end=True)
    messages = [
        message
        async for message in messages_of(
            publication, lines(b"1", TooLong(LINE_BYTES + 1), b"a"), refused.append
        )
    ]
    assert messages == [
        Message("t", b"1", "put", "e", "application/json", "k-1", False),
        Message("t", b"a", "put", "e", "text/plain; charset=utf-8", "k-3", True),
    ]
    assert refused == [f"line 2 has {LINE_BYTES + 1} bytes, more than {LINE_BYTES}"]


def test_patch(server: Hexcast, topic: str) -> None:
    assert pub(server, topic, '{"a": 1, "b": 1.10}', "--put").code == 0
    assert pub(server, topic, '{"a": null, "base64": "x"}', "--patch").code == 0
    assert server.get(topic)["data"] == {"b": 1.1, "base64": "x"}
    assert pub(server, topic, "--patch", input=b'{"b": 2}\n{"base64": "QQ=="}\n').code == 0
    assert server.get(topic)["data"] == {"b": 2, "base64": "QQ=="}
    assert pub(server, topic, "{", "--patch").code == 1


def test_append(server: Hexcast, topic: str) -> None:
    assert pub(server, topic, "a", "--append").code == 0
    assert pub(server, topic, "--append", input=b"b\n12\n\n\xff\nlast").code == 0
    record = server.get(topic)
    assert record["data"] == "ab\n12\n\n\N{REPLACEMENT CHARACTER}\nlast\n"
    assert record["type"].startswith("text/plain")


def test_one_kind_of_publishing_at_a_time(server: Hexcast, topic: str) -> None:
    done = pub(server, topic, "a", "--append", "--put")
    assert done.code == 2
    assert "one of --put, --patch and --append" in done.err
