"""The lab's addresses: who may begin a run, how many there are, and how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.harness import Conn, Server, Sse, ask, deadline, get, problem
from tests.support.wire import Answer

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("--lab") as running:
        yield running


async def control(
    server: Server, method: str, path: str, body: Any = None, **fields: str
) -> Answer:
    data = None if body is None else json.dumps(body)
    return await ask(server, method, f"/lab/runs{path}", {**JSON, **fields}, data)


async def begin(server: Server, **wish: Any) -> dict[str, Any]:
    answer = await control(server, "POST", "", wish)
    assert answer.status == 201, answer.body
    return dict(answer.json())


async def test_the_page_and_its_files_are_served_for_themselves_alone(server: Server) -> None:
    page = await get(server, "/lab")
    policy = page["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert b"//" not in page.body.replace(b"http://www.w3.org/2000/svg", b"")
    for name in (
        "lab.js",
        "tally.js",
        "lab.css",
        "vendor/uplot.min.js",
        "vendor/uplot.LICENSE.txt",
    ):
        answer = await get(server, f"/lab/{name}")
        assert answer.status == 200 and len(answer.body) > 300
        again = await get(server, f"/lab/{name}", {"If-None-Match": answer["etag"]})
        assert again.status == 304 and not again.body
    for name in ("nothing.js", "../lab.py", "%2e%2e/lab.py", "web/lab.js", "vendor/", "vendor"):
        assert (await get(server, f"/lab/{name}")).status == 404, name
    problem(await ask(server, "POST", "/lab"), 405)


async def test_a_run_publishes_until_it_is_ended(server: Server) -> None:
    run = await begin(server, rate=50, size=1000)
    name, topic = run["run"], run["topic"]
    async with await Sse.open(server, f"/topics/{topic}?client={name}.sse") as stream:
        first = json.loads((await stream.record()).data or "")
        second = json.loads((await stream.record()).data or "")
        assert second["n"] == first["n"] + 1
        changed = await control(server, "PATCH", f"/{name}", {"rate": 0.2, "size": 300})
        assert changed.json()["rate"] == 0.2
        ended = await control(server, "DELETE", f"/{name}")
        assert ended.status == 200
        with pytest.raises((EOFError, ConnectionError)):  # its clients are cut
            async with deadline("the end of the stream"):
                while True:
                    await stream.event()
    assert (await get(server, f"/topics/{topic}")).status == 404
    problem(await control(server, "DELETE", f"/{name}"), 404)
    listed = (await get(server, "/topics")).json()["topics"]
    assert not [t for t in listed if t["topic"].startswith("lab/")]


async def test_push_is_received_by_the_server_itself(server: Server) -> None:
    run = await begin(server, rate=20, size=1000)
    async with await Sse.open(server, f"/topics/{run['prefix']}/figures") as stream:
        pushed: list[str] = []
        told: set[str] = set()
        async with deadline("pushed records", 15):
            while len(pushed) < 30:
                figures = json.loads((await stream.record()).data or "")
                pushed += [id for what, _, id in figures["pushed"] if what == "record"]
                told |= {id for entry in figures["published"] for id in entry[3]}
                client = figures["clients"]["push"]
        assert len(pushed) == len(set(pushed)) and len(told & set(pushed)) > 25
        places = [int(id.rpartition("-")[2]) for id in pushed]
        assert places == sorted(places)
        assert client["out"] > 30 * 1000 and client["requests"] == 1
    state = (await control(server, "GET", f"/{run['run']}")).json()
    assert state["push"] == "push"


async def test_only_this_server_s_pages_may_control_it(server: Server) -> None:
    run = (await begin(server))["run"]
    foreign = {"Origin": "http://elsewhere.example"}
    problem(await control(server, "POST", "", {}, **foreign), 403)
    problem(await control(server, "PATCH", f"/{run}", {"rate": 1}, **foreign), 403)
    problem(await control(server, "DELETE", f"/{run}", **foreign), 403)
    problem(await control(server, "POST", f"/{run}/breaks", {"what": "cut"}, **foreign), 403)
    problem(await ask(server, "POST", "/lab/runs", {"Content-Type": "text/plain"}, "{}"), 415)
    own = {"Origin": server.url}
    assert (await control(server, "PATCH", f"/{run}", {"rate": 1}, **own)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"rate": "fast"}, 400),
        ("POST", "", {"run": "../x"}, 400),
        ("POST", "", {"topic": "a//b"}, 400),
        ("POST", "", {"topic": "a/*"}, 400),
        ("POST", "", ["x" * 5000], 413),
        ("POST", "/none/breaks", {"what": "cut"}, 404),
        ("POST", "/RUN/breaks", {"what": "burn"}, 400),
        ("POST", "/RUN/breaks", {"what": "cut", "way": "pigeon"}, 400),
        ("POST", "/RUN/other", {}, 404),
        ("POST", "/RUN/restart", {}, 501),
        ("PUT", "/RUN", {}, 405),
        ("GET", "", None, 405),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    server: Server, method: str, path: str, body: Any, status: int
) -> None:
    run = (await begin(server))["run"]
    problem(await control(server, method, path.replace("RUN", run), body), status)
    assert (await control(server, "GET", f"/{run}")).status == 200


async def test_there_are_not_more_runs_than_may_be(server: Server) -> None:
    runs = [(await begin(server, rate=0.2))["run"] for _ in range(8)]
    told = await control(server, "POST", "", {})
    problem(told, 429)
    assert (await control(server, "POST", "", {"run": runs[0]})).status == 201, "it is there"
    await control(server, "DELETE", f"/{runs[0]}")
    await begin(server)


async def test_a_client_of_no_run_is_served_like_any(server: Server) -> None:
    for name in ("none.sse", "none", "", ".", "%00.x"):
        answer = await get(server, f"/topics/x?client={name}")
        assert answer.status == 404 and answer["hexcast-way"] == "poll"


async def test_a_stop_ends_the_runs_at_once(server: Server) -> None:
    run = await begin(server, rate=200, size=20_000)
    streams = [
        await Sse.open(server, f"/topics/{run['topic']}?client={run['run']}.sse") for _ in range(3)
    ]
    for stream in streams:
        await stream.record()
    took = await asyncio.to_thread(server.stop)
    assert took < 5
    for stream in streams:
        await stream.conn.close()


async def test_under_a_base_path() -> None:
    with Server("--lab", base="/live") as server:
        assert b'src="lab/lab.js"' in (await get(server, "/lab")).body
        run = await begin(server, rate=20)
        figures = f"/topics/{run['prefix']}/figures"
        async with await Sse.open(server, figures) as stream, deadline("something pushed"):
            while not json.loads((await stream.record()).data or "")["pushed"]:
                continue
        async with await Conn.open(server) as conn:
            answer = await conn.ask(server, "GET", "/lab")
            assert answer.status == 404


async def test_over_tls() -> None:
    """Its own certificate is not asked for: the server speaks to itself."""
    import ssl
    import urllib.request

    with Server("--lab", "--tls-dev") as server:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"https://127.0.0.1:{server.port}"

        def call(path: str, body: bytes | None = None) -> dict[str, Any]:
            request = urllib.request.Request(url + path, body, JSON)
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return dict(json.load(answer))

        run = await asyncio.to_thread(call, "/lab/runs", b'{"rate": 20}')
        async with deadline("push over TLS"):
            told = run
            while told["push"] != "push":
                told = await asyncio.to_thread(call, f"/lab/runs/{run['run']}")


async def test_there_is_no_lab_unless_it_is_wanted() -> None:
    with Server() as server:
        problem(await get(server, "/lab"), 404)
        problem(await control(server, "POST", "", {}), 404)
        topics = await get(server, "/topics", {"Accept": "text/html"})
        assert topics.status == 200 and b"/lab" not in topics.body


async def test_a_publish_is_no_client_of_a_run(server: Server) -> None:
    """`client` is a field of those that receive: a batch with it is read like any other."""
    run = (await begin(server))["run"]
    fields = {"Content-Type": "application/x-ndjson"}
    lines = '{"topic":"elsewhere","data":1}\n{"topic":"elsewhere","data":2}\n'
    answer = await ask(server, "POST", f"/topics?client={run}.poll", fields, lines)
    assert answer.status == 200
    assert ["id" in json.loads(line) for line in answer.body.splitlines()] == [True, True]
