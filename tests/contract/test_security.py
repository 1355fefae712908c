"""Who may (protocol 6, first point): this machine's programs, and no website's script."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    Ws,
    ask,
    get,
    path,
    problem,
    put,
    request_bytes,
    unique,
    upgrade_fields,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
ALLOWED = "https://app.example.org"


@pytest.fixture(scope="module")
def lenient() -> Iterator[Server]:
    """A server with one more host and one more origin."""
    with Server("--allow-host", "hexcast.example.org", "--allow-origin", ALLOWED) as running:
        yield running


# --- Host -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}", "localhost"],
)
async def test_a_host_that_is_this_server(server: Server, host: str) -> None:
    topic = unique()
    fields = {"Host": host.format(port=server.port)}
    assert (await ask(server, "PUT", path(topic), {**TEXT, **fields}, "x")).status == 201
    assert (await get(server, path(topic), fields)).status == 200


FOREIGN_HOSTS = [
    "evil.example", "evil.example:{port}", "localhost.evil.example",
    "127.0.0.1.evil.example:{port}",
    "evil.example:80@localhost", "localhostx", "0.0.0.0:{port}", "10.0.0.1:{port}", "[::]:{port}",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("fields", [{}, {"Accept": "text/event-stream"}, {"Accept": "text/html"}])
async def test_a_foreign_host_reads_nothing(
    server: Server, host: str, fields: dict[str, str]
) -> None:
    """A name that some website has pointed at this machine (DNS rebinding)."""
    topic = unique()
    await put(server, topic, "secret")
    answer = await get(server, path(topic), {"Host": host.format(port=server.port), **fields})
    assert b"secret" not in answer.body
    problem(answer, answer.status)
    assert answer.status == 421 or (answer.status == 400 and "@" in host)


async def test_a_foreign_host_publishes_nothing_and_opens_nothing(server: Server) -> None:
    topic = unique()
    fields = {"Host": "evil.example"}
    problem(await ask(server, "PUT", path(topic), {**TEXT, **fields}, "x"), 421)
    problem(await ask(server, "DELETE", path(topic), fields), 421)
    problem(await get(server, path(topic), [*upgrade_fields(KEY), *fields.items()]), 421)
    problem(await get(server, path(topic)), 404)


@pytest.mark.parametrize("target", ["/", "/topics", "/metrics", "/healthz/../topics"])
async def test_a_foreign_host_anywhere(server: Server, target: str) -> None:
    problem(await get(server, target, {"Host": "evil.example"}), 421)


async def test_an_absolute_target_counts_in_place_of_the_host(server: Server) -> None:
    """RFC 9112 section 3.2.2."""
    topic = unique()
    await put(server, topic, "x")
    own = f"http://{server.authority}{path(topic)}"
    assert (await get(server, own)).body == b"x"
    problem(await get(server, f"http://evil.example{path(topic)}"), 421)


async def test_an_allowed_host(lenient: Server) -> None:
    topic = unique()
    for host in (
        "hexcast.example.org",
        f"hexcast.example.org:{lenient.port}",
        "HEXCAST.example.org",
    ):
        answer = await ask(lenient, "PUT", path(topic), {**TEXT, "Host": host}, "x")
        assert answer.status in (200, 201)
    problem(await get(lenient, path(topic), {"Host": "other.example.org"}), 421)
    problem(await get(lenient, path(topic), {"Host": "x.hexcast.example.org"}), 421)


# --- Origin and Sec-Fetch-Site --------------------------------------------------------------------

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Origin": "http://evil.example:{port}"},
    {"Origin": "file://"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


def filled(fields: dict[str, str], server: Server) -> dict[str, str]:
    return {name: value.format(port=server.port) for name, value in fields.items()}


@pytest.mark.parametrize("fields", FOREIGN)
async def test_a_websites_script_publishes_nothing(server: Server, fields: dict[str, str]) -> None:
    topic, there = unique(), unique()
    await put(server, there, "x")
    foreign = filled(fields, server)
    for method in ("PUT", "POST"):
        problem(await ask(server, method, path(topic), {**TEXT, **foreign}, "x"), 403)
    problem(await ask(server, "DELETE", path(there), foreign), 403)
    line = b'{"topic": "%b", "data": 1}\n' % topic.encode()
    batch = {"Content-Type": "application/x-ndjson", **foreign}
    problem(await ask(server, "POST", "/topics", batch, line), 403)
    assert (await ask(server, "PATCH", path(topic), {**TEXT, **foreign}, "x")).status in (403, 501)
    problem(await get(server, path(topic)), 404)
    assert (await get(server, path(there))).body == b"x"


@pytest.mark.parametrize("protocol", ["", "hexcast.v1"])
@pytest.mark.parametrize("fields", FOREIGN)
async def test_a_websites_script_opens_no_websocket(
    server: Server, fields: dict[str, str], protocol: str
) -> None:
    """Browsers let any page open one: the server alone can refuse."""
    answer = await get(
        server, path(unique()), upgrade_fields(KEY, protocol, filled(fields, server).items())
    )
    problem(answer, 403)


@pytest.mark.parametrize("fields", FOREIGN)
@pytest.mark.parametrize("query", ["", "?since=earliest", "?wait=0", "?way=sse", "?way=refresh"])
async def test_what_a_websites_script_asks_for_it_may_not_read(
    server: Server, fields: dict[str, str], query: str
) -> None:
    """Without CORS fields the browser keeps the answer from the script."""
    topic = unique()
    await put(server, topic, "x")
    async with await Conn.open(server) as conn:
        foreign = filled(fields, server)
        await conn.send(request_bytes(server, "GET", path(topic) + query, foreign))
        head = await conn.head()
    assert not [name for name, _ in head.fields if name.startswith("access-control-")]


async def test_a_preflight_from_elsewhere_allows_nothing(server: Server) -> None:
    fields = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = await ask(server, "OPTIONS", path(unique()), fields)
    assert not [name for name, _ in answer.head.fields if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Origin": "http://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_programs_and_the_servers_own_pages_may(
    server: Server, fields: dict[str, str]
) -> None:
    topic = unique()
    own = filled(fields, server)
    assert (await ask(server, "PUT", path(topic), {**TEXT, **own}, "x")).status == 201
    async with await Ws.open(server, path(topic), fields=own) as ws:
        assert await ws.message() == "x"


async def test_the_servers_own_origin_by_another_of_its_names(server: Server) -> None:
    topic = unique()
    fields = {"Host": f"localhost:{server.port}", "Origin": f"http://localhost:{server.port}"}
    assert (await ask(server, "PUT", path(topic), {**TEXT, **fields}, "x")).status == 201


async def test_an_allowed_origin(lenient: Server) -> None:
    topic = unique()
    fields = {"Origin": ALLOWED, "Sec-Fetch-Site": "cross-site"}
    assert (await ask(lenient, "PUT", path(topic), {**TEXT, **fields}, "x")).status == 201
    async with await Ws.open(lenient, path(topic), fields=fields) as ws:
        assert await ws.message() == "x"
    for near in ("http://app.example.org", "https://app.example.org:8443",
                 "https://app.example.org.evil.example", "https://xapp.example.org"):  # fmt: skip
        problem(await ask(lenient, "PUT", path(topic), {**TEXT, "Origin": near}, "y"), 403)
    assert (await get(lenient, path(topic))).body == b"x"


async def test_two_origins(server: Server) -> None:
    topic = unique()
    fields = [
        *TEXT.items(),
        ("Origin", f"http://{server.authority}"),
        ("Origin", "https://evil.example"),
    ]
    answer = await ask(server, "PUT", path(topic), fields, "x")
    assert answer.status in (400, 403)
    problem(await get(server, path(topic)), 404)


async def test_reading_from_elsewhere_is_no_fault(server: Server) -> None:
    """A link, an <img>, a tab opened by hand: the answer comes, a script may not read it."""
    topic = unique()
    await put(server, topic, "x")
    fields = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await get(server, path(topic), fields)).status == 200
    async with await Sse.open(server, path(topic), fields) as sse:
        assert (await sse.record()).data == "x"


# --- where it binds -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_bound_to_the_world_without_keys_is_refused(host: str) -> None:
    server = Server("--host", host)
    done = server.run_to_its_end()
    assert done.returncode in (1, 2)
    assert done.stdout == b"", "messages for people are on stderr"
    assert b"--open" in done.stderr
    assert b"Traceback" not in done.stderr
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_port_in_use() -> None:
    with Server() as running:
        done = Server(port=running.port).run_to_its_end()
    assert done.returncode == 1
    assert str(running.port).encode() in done.stderr
    assert b"Traceback" not in done.stderr
