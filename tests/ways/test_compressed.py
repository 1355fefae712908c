"""Which coding an answer gets, and that each is made once."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter

import pytest
import zstandard

from hexcast.settings import Settings
from hexcast.ways import compressed as coded
from tests.support.fakes import EPOCH, Sent, World, post, put
from tests.support.wire import Decoder

BROWSER = "gzip, deflate, br, zstd"
HINTS = {"sec-ch-ua": '"Chromium";v="156"'}
HTML = {"Accept": "text/html"}


def members(**changed: object) -> bytes:
    return json.dumps({f"member-{n}": n * 7919 % 1009 for n in range(200)} | changed).encode()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something was coded, by coding."""
    counts: Counter[str] = Counter()
    code = coded.code

    def counted(coding: str, *more: bytes, must: bool) -> bytes | None:
        counts[coding] += 1
        return code(coding, *more, must=must)

    monkeypatch.setattr(coded, "code", counted)
    return counts


def named(body: bytes) -> str:
    return f":{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def revalidated(world: World, target: str, had: bytes = b"", **more: str) -> Sent:
    """What Chromium gets that insists, and has `had`."""
    fields = {"Cache-Control": "max-age=0", "Accept-Encoding": BROWSER, **HINTS, **more}
    if had:
        fields["Accept-Encoding"] += ", dcb, dcz"
        fields["Available-Dictionary"] = named(had)
    return world.ask(target, fields)


def plain(sent: Sent, dictionary: bytes = b"") -> bytes:
    """The body of an answer, decoded."""
    coding = sent.header("Content-Encoding")
    if coding != "dcz":
        return Decoder(coding).feed(sent.body)
    assert sent.body[8:40] == hashlib.sha256(dictionary).digest()
    held = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdDecompressor(dict_data=held).decompressobj().decompress(sent.body[40:])


@pytest.mark.parametrize(("accept", "coding"), [
    ("", ""), ("gzip", "gzip"), (BROWSER, "zstd"), ("gzip;q=0", ""), ("dcz", ""),
    ("zstd;q=0.1, gzip", "gzip"), ("identity, gzip;q=0.9", ""), ("identity;q=0, gzip", "gzip"),
])  # fmt: skip
def test_a_value_in_the_coding_most_wanted(world: World, accept: str, coding: str) -> None:
    put(world.hub, "s", members(), type="application/json")
    id = f"{EPOCH}-1"
    for target in ("/topics/s", f"/topics/s?id={id}", "/topics/s?wait=1"):
        sent = world.ask(target, {"Accept-Encoding": accept})
        assert sent.header("Content-Encoding") == coding
        tag = f'"{id}~{coding}"' if coding else f'"{id}"'
        assert sent.header("ETag") == tag
        assert plain(sent) == members()
        assert "Accept-Encoding" in sent.header("Vary")
        fields = {"Accept-Encoding": accept, "If-None-Match": tag}
        again = world.ask(target.replace("wait=1", "wait=0"), fields)
        assert (again.status, again.body) == (304, b"")
        for name in ("ETag", "Vary", "Cache-Control"):
            assert again.header(name) == sent.header(name)


def test_what_does_not_pay_goes_as_it_is(world: World) -> None:
    for topic, data, type in (
        ("small", b"x" * 200, "text/plain"), ("dense", b"x" * 2000, "image/png"),
        ("noise", hashlib.shake_128(b"").digest(2000), "application/octet-stream"),
    ):  # fmt: skip
        put(world.hub, topic, data, type=type)
        sent = world.ask(f"/topics/{topic}", {"Accept-Encoding": BROWSER})
        assert (sent.header("Content-Encoding"), sent.body) == ("", data)
        forced = world.ask(f"/topics/{topic}", {"Accept-Encoding": "gzip, identity;q=0"})
        assert zlib.decompress(forced.body, 31) == data


def test_compression_can_be_turned_off() -> None:
    world = World(Settings(compress=False))
    put(world.hub, "s", members())
    sent = revalidated(world, "/topics/s")
    assert (sent.header("Content-Encoding"), sent.header("Use-As-Dictionary")) == ("", "")
    assert (sent.header("Cache-Control"), sent.body) == ("no-cache", members())
    assert "Accept-Encoding" not in sent.header("Vary")
    stream = world.ask("/topics/s?way=sse", {"Accept-Encoding": BROWSER})
    assert stream.header("Content-Encoding") == ""


def test_each_is_made_once_for_everyone(world: World, made: Counter[str]) -> None:
    put(world.hub, "s", members())
    first = plain(revalidated(world, "/topics/s"))
    put(world.hub, "s", members(a=1))
    for n in range(20):
        for accept in ("gzip", "gzip, deflate", BROWSER):
            world.ask("/topics/s", {"Accept-Encoding": accept, "User-Agent": str(n)})
        assert revalidated(world, "/topics/s", first).header("Content-Encoding") == "dcz"
        world.pass_time(2)
    assert made == {"zstd": 2, "gzip": 1, "dcz": 1}


def test_a_value_is_the_dictionary_for_the_next(world: World) -> None:
    had = b""
    for n in range(5):
        put(world.hub, "s", members(mark=n))
        sent = revalidated(world, "/topics/s", had)
        assert sent.header("Content-Encoding") == ("dcz" if had else "zstd")
        assert sent.header("Use-As-Dictionary") == 'match="/topics/s"'
        assert sent.header("Cache-Control") == "max-age=0, stale-while-revalidate=3600"
        assert "Available-Dictionary" in sent.header("Vary")
        if had:
            assert len(sent.body) <= 100
            assert sent.header("ETag").endswith('~dcz"')
        had = plain(sent, had)
        assert had == members(mark=n)


def test_a_page_is_the_dictionary_for_the_next(world: World) -> None:
    had = b""
    for n in range(5):
        put(world.hub, "s", members(mark=n))
        sent = revalidated(world, "/topics/s", had, **HTML)
        assert sent.header("Content-Encoding") == ("dcz" if had else "zstd")
        assert 'match="/topics/s", match-dest=("document" "iframe")' in sent.header("Use-As-Dictionary")  # fmt: skip
        if had:
            assert len(sent.body) <= 110
        assert sent.header("ETag") == f'W/"{EPOCH}-{n + 1}"'
        had = plain(sent, had)
        assert f'mark": {n}'.encode() in had
    assert revalidated(world, "/topics/none", **HTML).header("Use-As-Dictionary") == ""


@pytest.mark.parametrize("fields", [
    {"Cache-Control": "no-cache"}, {"Cache-Control": ""}, {"Accept-Encoding": "gzip"},
    {"sec-ch-ua": ""},
])  # fmt: skip
def test_others_are_told_nothing_of_dictionaries(world: World, fields: dict[str, str]) -> None:
    put(world.hub, "s", members())
    sent = revalidated(world, "/topics/s", **fields)
    assert sent.header("Use-As-Dictionary") == ""
    assert sent.header("Cache-Control") == "no-cache"


def test_a_dictionary_that_is_not_held_means_plain_zstd(world: World) -> None:
    put(world.hub, "s", members())
    put(world.hub, "other", members(a=2))
    revalidated(world, "/topics/other")
    # One that was never offered, and one that is of another topic: of that nothing is told here.
    for had in (members(a=1), members(a=2)):
        assert revalidated(world, "/topics/s", had).header("Content-Encoding") == "zstd"
    assert revalidated(world, "/topics/other", members(a=2)).header("Content-Encoding") == "dcz"


def test_what_is_kept_is_bounded(world: World) -> None:
    big = hashlib.shake_128(b"big").digest(250_000)
    for n in range(200):
        put(world.hub, "s", big + bytes(range(n)) * 10, type="text/plain")
        sent = revalidated(world, "/topics/s")
        assert sent.header("Use-As-Dictionary")
    coder = world.context.coder
    held = [coder._bodies.size, coder._dictionaries.size, world.context.values.size]
    assert all(size <= 16 * 2**20 for size in held)
    assert coder._dictionaries.size > 10 * 2**20


def test_batches_are_coded_too(world: World) -> None:
    for n in range(50):
        post(world.hub, "t", members(n=n), type="application/json")
    for accept, coding in (("gzip", "gzip"), (BROWSER, "zstd"), ("", "")):
        sent = world.ask("/topics/t?since=earliest", {"Accept-Encoding": accept})
        assert sent.header("Content-Encoding") == coding
        assert len(json.loads(plain(sent))["records"]) == 50
    small = world.ask("/topics/t?since=now", {"Accept-Encoding": "gzip"})
    assert small.header("Content-Encoding") == ""
