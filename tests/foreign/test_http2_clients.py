"""HTTP/2 clients that others wrote: nghttp, h2load, curl, Node, Java, httpx."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.harness import SecureServer, Server, deadline, path, program, unique


def trusting(server: Server) -> ssl.SSLContext | bool:
    if not isinstance(server, SecureServer):
        return False
    return ssl.create_default_context(cafile=str(server.cert))


@asynccontextmanager
async def http2_client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """httpx, speaking nothing but HTTP/2."""
    async with httpx.AsyncClient(
        http1=False, http2=True, verify=trusting(server), base_url=server.url, timeout=15,
        trust_env=False,
    ) as client:  # fmt: skip
        yield client


async def publish(server: Server, topic: str, data: str, query: str = "") -> str:
    async with http2_client(server) as client:
        answer = await client.post(
            f"{path(topic)}{query}", content=data, headers={"Content-Type": "text/plain"}
        )
        assert answer.status_code == 201
        return str(answer.json()["id"])


class Running:
    """A program whose output is read while it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[str] = []

    async def until(self, found: Callable[[str], object], seconds: float = 20) -> str:
        """The next line of which that is true."""
        assert self.process.stdout is not None
        async with deadline(f"a line, after {self.seen[-20:]}", seconds):
            while True:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended after {self.seen[-20:]}"
                self.seen.append(line.rstrip("\n"))
                if found(line):
                    return line

    async def hear(self, *members: str) -> dict[str, Any]:
        """The next line that is an object, with one of these members where any are given."""
        line = await self.until(
            lambda line: (
                line.startswith("{")
                and (not members or not json.loads(line).keys().isdisjoint(members))
            )
        )
        return dict(json.loads(line))

    async def end(self) -> int:
        """Read to its end; the exit code."""
        assert self.process.stdout is not None
        async with deadline("its end", 20):
            while line := await self.process.stdout.readline():
                self.seen.append(line.decode().rstrip("\n"))
            return await self.process.wait()


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, limit=2**20,
    )  # fmt: skip
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        async with deadline("its end"):
            await process.communicate()


# --- nghttp and h2load ----------------------------------------------------------------------------


async def test_nghttp_shows_records_as_pushed_streams(http2: Server) -> None:
    topic = unique()
    async with running(program("nghttp"), "-nv", f"{http2.url}{path(topic)}?way=push") as nghttp:
        await nghttp.until(lambda line: "hexcast-way: push" in line)
        parent = re.search(r"stream_id=(\d+)", nghttp.seen[-1])
        assert parent is not None
        for n in range(3):
            id = await publish(http2, topic, f"record {n}")
            await nghttp.until(lambda line, id=id: f":path: {path(topic)}?id={id}" in line)
            await nghttp.until(lambda line: "PUSH_PROMISE frame <length=" in line
                               and f"stream_id={parent[1]}" in line)  # fmt: skip
            promised = re.search(
                r"promised_stream_id=(\d+)", await nghttp.until(lambda line: "promised" in line)
            )
            assert promised is not None
            pushed = f"stream_id={promised[1]}>"
            await nghttp.until(lambda line, id=id: f'etag: "{id}"' in line)
            await nghttp.until(
                lambda line, pushed=pushed: (
                    "recv DATA frame <length=8, flags=0x01" in line and pushed in line
                )
            )
            await nghttp.until(
                lambda line: "recv DATA frame" in line and f"stream_id={parent[1]}>" in line
            )


async def test_nghttp_prints_what_is_pushed_and_told(http2: Server) -> None:
    topic = unique()
    first = await publish(http2, topic, "one\n")
    last = await publish(http2, topic, "two\n", "?end=1")
    url = f"{http2.url}{path(topic)}?way=push&since=earliest"
    async with running(program("nghttp"), url) as nghttp:
        assert await nghttp.end() == 0
    assert {"one", "two"} <= set(nghttp.seen)
    told = [json.loads(line) for line in nghttp.seen if line.startswith("{")]
    assert [(line["id"], line["pushed"]) for line in told] == [(first, True), (last, True)]


async def test_nghttp_is_sent_a_pages_script_and_value_ahead(http2: Server) -> None:
    topic = unique()
    id = await publish(http2, topic, "shown on the page")
    async with running(
        program("nghttp"), "-nv", "-H", "accept: text/html", f"{http2.url}{path(topic)}"
    ) as nghttp:
        assert await nghttp.end() == 0
    promised = [line.partition(":path: ")[2] for line in nghttp.seen if " :path: " in line]
    assert [p for p in promised if p.startswith("/assets/topic-")]
    assert f"{path(topic)}?id={id}" in promised
    assert any("text/javascript" in line for line in nghttp.seen)


async def test_h2load_reads_and_publishes(http2: Server, tmp_path: Path) -> None:
    topic = unique()
    (tmp_path / "record").write_text("a record")
    for more in ((), ("-d", str(tmp_path / "record"))):
        url = f"{http2.url}{path(topic)}"
        if not more:
            await publish(http2, topic, "first")
        async with running(
            program("h2load"), "-n", "600", "-c", "6", "-m", "20", *more, url
        ) as h2load:
            assert await h2load.end() == 0
        said = "\n".join(h2load.seen)
        assert "600 succeeded, 0 failed, 0 errored, 0 timeout" in said, said
        assert "status codes: 600 2xx, 0 3xx, 0 4xx, 0 5xx" in said, said
    async with http2_client(http2) as client:
        batch = (await client.get(f"{path(topic)}?since=earliest&limit=1000")).json()
    assert len(batch["records"]) == 601


# --- curl -----------------------------------------------------------------------------------------


def curl(server: Server, *more: str) -> list[str]:
    version = ["--http2-prior-knowledge"]
    if isinstance(server, SecureServer):
        version = ["--http2", "--cacert", str(server.cert)]
    return [
        program("curl"), "--disable", "--silent", "--no-buffer", "--noproxy", "*",
        "--max-time", "20", *version, *more,
    ]  # fmt: skip


async def test_curl_publishes_and_polls(http2: Server) -> None:
    url = f"{http2.url}{path(unique())}"
    async with running(*curl(http2, "-d", "hello", "-w", "\n%{http_version}", url)) as published:
        assert await published.end() == 0
    assert published.seen[-1] == "2"
    id = json.loads(published.seen[0])["id"]
    async with running(*curl(http2, "--include", url)) as polled:
        assert await polled.end() == 0
    head = [line.strip() for line in polled.seen]
    assert head[0] == "HTTP/2 200"
    assert f'etag: "{id}"' in head
    assert head[-1] == "hello"
    async with running(
        *curl(http2, "-H", f'If-None-Match: "{id}"', "-w", "%{http_code}", url)
    ) as unchanged:
        assert await unchanged.end() == 0
    assert unchanged.seen == ["304"]


async def test_curl_follows_events_and_held_polls(http2: Server) -> None:
    topic = unique()
    url = f"{http2.url}{path(topic)}"
    async with (
        running(*curl(http2, "--include", f"{url}?way=sse")) as events,
        running(*curl(http2, "--include", f"{url}?way=long-poll&since=now&wait=20")) as held,
    ):
        await events.until(lambda line: line.startswith("retry:"))
        assert events.seen[0].strip() == "HTTP/2 200"
        await _subscribers(http2, topic, 2)
        id = await publish(http2, topic, "an event")
        await events.until(lambda line: line == f"id: {id}\n")
        await events.until(lambda line: line == "data: an event\n")
        await held.until(lambda line: line.startswith("{"))
        assert json.loads(held.seen[-1])["records"][0]["id"] == id
        assert held.seen[0].strip() == "HTTP/2 200"


async def test_curl_is_told_of_a_pages_script_ahead(http2: Server) -> None:
    topic = unique()
    await publish(http2, topic, "shown on the page")
    url = f"{http2.url}{path(topic)}"
    async with running(*curl(http2, "--include", "-H", "Accept: text/html", url)) as page:
        assert await page.end() == 0
    head = [line.strip() for line in page.seen]
    assert head[0] == "HTTP/2 103"
    told = re.fullmatch(
        r"link: <(/assets/topic-\w+\.js)>; rel=preload; as=script; crossorigin, .*", head[1]
    )
    assert told is not None
    assert head[head.index("") + 1] == "HTTP/2 200"
    assert any(f'<script type="module" src="{told[1]}">' in line for line in head)


async def test_curl_takes_no_push_and_gets_events(http2: Server) -> None:
    topic = unique()
    await publish(http2, topic, "x")
    url = f"{http2.url}{path(topic)}?way=push&last=1"
    async with running(*curl(http2, "--include", url)) as events:
        await events.until(lambda line: line == "data: x\n")
    head = [line.strip() for line in events.seen]
    assert "hexcast-way: sse" in head
    assert "hexcast-fallback: push-off" in head


async def test_an_upgrade_to_h2c_is_passed_over(server: Server) -> None:
    """RFC 9113, 3.1: that way in was given up; such a request is one of HTTP/1.1."""
    async with running(
        program("curl"), "--disable", "--silent", "--noproxy", "*", "--http2", "-w",
        "%{http_version} %{http_code}", "-o", "/dev/null", f"{server.url}/healthz",
    ) as asked:  # fmt: skip
        assert await asked.end() == 0
    assert asked.seen == ["1.1 200"]


async def _subscribers(server: Server, topic: str, count: int) -> None:
    """Wait until so many have subscribed. The topic is listed once it holds something."""
    async with http2_client(server) as client, deadline(f"{count} subscribers"):
        while True:
            metrics = (await client.get("/metrics")).text
            now = {
                m[1]: float(m[2])
                for m in re.finditer(r'^hexcast_clients\{way="([^"]+)"\} (\S+)$', metrics, re.M)
            }
            if now["sse"] + now["long-poll"] >= count:
                return


# --- Node -----------------------------------------------------------------------------------------

NODE = """
const http2 = require("http2"), fs = require("fs");
const [url, target, cert] = process.argv.slice(2);
const client = http2.connect(url, cert ? {ca: fs.readFileSync(cert)} : {});
const say = what => console.log(JSON.stringify(what));
const whole = (stream, done) => {
  let text = "";
  stream.setEncoding("utf8").on("data", piece => { text += piece; }).on("end", () => done(text));
};
client.on("error", error => { say({error: String(error)}); process.exit(1); });
client.on("stream", (pushed, promise) => {
  pushed.on("push", head => whole(pushed, body =>
    say({push: promise[":path"], etag: head.etag, type: head["content-type"], body})));
});
const request = client.request({":path": target});
request.on("response", head => say({status: head[":status"], way: head["hexcast-way"]}));
let rest = "";
request.setEncoding("utf8").on("data", piece => {
  const lines = (rest + piece).split("\\n");
  rest = lines.pop();
  for (const line of lines) say({line: JSON.parse(line)});
});
request.on("end", () => { say({end: true}); client.close(); });
"""


async def test_node_takes_pushed_streams(http2: Server, tmp_path: Path) -> None:
    script = tmp_path / "push.js"
    script.write_text(NODE)
    topic = unique()
    more = [str(http2.cert)] if isinstance(http2, SecureServer) else []
    target = f"{path(topic)}?way=push"
    async with running(program("node"), str(script), http2.url, target, *more) as node:
        assert await node.hear("status") == {"status": 200, "way": "push"}
        for n in range(3):
            query = "?end=1" if n == 2 else ""
            id = await publish(http2, topic, f"record {n}", query)
            found = [await node.hear("push", "line"), await node.hear("push", "line")]
            pushed = next(item for item in found if "push" in item)
            line = next(item["line"] for item in found if "line" in item)
            assert pushed == {
                "push": f"{path(topic)}?id={id}", "etag": f'"{id}"',
                "type": "text/plain", "body": f"record {n}",
            }  # fmt: skip
            assert (line["id"], line["path"], line["pushed"]) == (id, pushed["push"], True)
        assert await node.hear("end")
        assert await node.end() == 0


async def test_node_follows_many_topics_on_one_connection(http2: Server, tmp_path: Path) -> None:
    script = tmp_path / "push.js"
    script.write_text(NODE)
    stem = unique()
    more = [str(http2.cert)] if isinstance(http2, SecureServer) else []
    target = f"/topics/{stem}/**?way=push"
    async with running(program("node"), str(script), http2.url, target, *more) as node:
        await node.hear("status")
        published = {}
        for n in range(40):
            published[await publish(http2, f"{stem}/{n % 4}", f"record {n}")] = f"record {n}"
        pushed, told = {}, []
        while len(pushed) < 40 or len(told) < 40:
            item = await node.hear("push", "line")
            if "push" in item:
                pushed[item["etag"].strip('"')] = item["body"]
            else:
                told.append(item["line"]["id"])
        assert pushed == published
        assert told == list(published)


# --- Java -----------------------------------------------------------------------------------------

JAVA = """
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.*;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.stream.Collectors;
import javax.net.ssl.*;

class Push {
  public static void main(String[] given) throws Exception {
    var store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    try (var file = new FileInputStream(given[1])) {
      var cert = CertificateFactory.getInstance("X.509").generateCertificate(file);
      store.setCertificateEntry("server", cert);
    }
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    var tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).sslContext(tls).build();
    var request = HttpRequest.newBuilder(URI.create(given[0])).build();
    client.sendAsync(request, HttpResponse.BodyHandlers.ofLines(), (first, promise, accept) ->
        accept.apply(HttpResponse.BodyHandlers.ofLines()).thenAccept(pushed ->
            say("pushed " + promise.uri().getQuery() + " "
                + pushed.body().collect(Collectors.joining("|")))))
      .thenAccept(answer -> {
        say(answer.version() + " " + answer.headers().firstValue("hexcast-way").orElse("none"));
        answer.body().forEach(line -> say("line " + line));
      }).join();
    say("end");
    System.exit(0);
  }
  static synchronized void say(String what) { System.out.println(what); System.out.flush(); }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK")
async def test_java_takes_pushed_answers(secure: SecureServer, tmp_path: Path) -> None:
    (tmp_path / "Push.java").write_text(JAVA)
    topic = unique()
    url = f"{secure.url}{path(topic)}?way=push"
    java = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", str(tmp_path / "Push.java")]
    async with running(*java, url, str(secure.cert)) as client:
        await client.until(lambda line: line == "HTTP_2 push\n", 60)
        ids = [await publish(secure, topic, f"record {n}", f"?end={n // 2}") for n in range(3)]
        assert await client.end() == 0
    pushed = [line for line in client.seen if line.startswith("pushed ")]
    told = [json.loads(line[5:]) for line in client.seen if line.startswith("line ")]
    assert sorted(pushed) == [f"pushed id={id} record {n}" for n, id in enumerate(ids)]
    assert [line["id"] for line in told] == ids
    assert all(line["pushed"] for line in told)


# --- httpx ----------------------------------------------------------------------------------------


async def test_httpx_follows_and_polls_on_one_connection(http2: Server) -> None:
    topic = unique()
    async with (
        http2_client(http2) as client,
        client.stream("GET", f"{path(topic)}?way=sse") as events,
    ):
        assert events.http_version == "HTTP/2"
        lines = events.aiter_lines()
        async with deadline("events"):
            while not (await anext(lines)).startswith("retry:"):
                continue
            for n in range(3):
                answer = await client.put(path(topic), content=f"value {n}")
                assert (answer.status_code, answer.http_version) == (
                    201 if n == 0 else 200, "HTTP/2",
                )  # fmt: skip
                while (line := await anext(lines)) != f"data: value {n}":
                    assert not line.startswith("data: value"), line
        assert (await client.get(path(topic))).text == "value 2"
