"""The page that a browser asks for again by itself."""

from __future__ import annotations

import pytest

from tests.support.fakes import EPOCH, Sent, World, delete, post, put

HTML = {"Accept": "text/html"}


@pytest.fixture
def world() -> World:
    world = World()
    put(world.hub, "x/a", b"alpha")
    put(world.hub, "x/b", b"beta")
    return world


def test_by_name_it_is_plain_and_by_accept_it_is_live(world: World) -> None:
    plain = world.ask("/topics/x/a?way=refresh&every=9")
    live = world.ask("/topics/x/a", HTML)
    assert plain.header("Refresh") == "9" and b"<script" not in plain.body
    assert live.header("Refresh") == "" and b"<script" in live.body
    for sent in (plain, live):
        assert sent.status == 200 and b"alpha" in sent.body
        assert sent.header("ETag") == f'W/"{EPOCH}-1"'
        assert sent.header("Hexcast-Way") == "refresh"
        assert sent.header("Content-Type") == "text/html; charset=utf-8"
        assert "default-src 'none'" in sent.header("Content-Security-Policy")
    codings = "Accept-Encoding, Available-Dictionary"
    assert (live.header("Vary"), plain.header("Vary")) == (f"Accept, Prefer, {codings}", codings)


def test_where_nothing_is_published_there_is_a_page_that_waits(world: World) -> None:
    sent = world.ask("/topics/none?way=refresh")
    assert sent.status == 404 and sent.header("Refresh") == "5" and b"<main" in sent.body


def again(world: World, target: str, first: Sent) -> Sent:
    return world.ask(target, {**HTML, "If-None-Match": first.header("ETag")})


def test_a_page_that_did_not_change_is_304(world: World) -> None:
    for target in ("/topics/x/a", "/topics/x/*"):
        first = world.ask(target, HTML)
        assert again(world, target, first).status == 304


@pytest.mark.parametrize("gone", ["x/a", "x/b"])
def test_a_page_of_several_topics_changes_when_one_is_deleted(world: World, gone: str) -> None:
    first = world.ask("/topics/x/*", HTML)
    delete(world.hub, gone)
    second = again(world, "/topics/x/*", first)
    assert second.status == 200, "the browser would go on showing what was deleted"
    assert (b"alpha" in second.body) is (gone == "x/b")


def test_a_page_of_several_topics_changes_with_each(world: World) -> None:
    first = world.ask("/topics/x/*", HTML)
    put(world.hub, "x/a", b"gamma")
    second = again(world, "/topics/x/*", first)
    assert second.status == 200 and b"gamma" in second.body and b"beta" in second.body
    post(world.hub, "x/c", b"delta")
    assert again(world, "/topics/x/*", second).status == 200


def test_what_a_page_leaves_out_it_says_and_it_is_the_oldest(world: World) -> None:
    for n in range(4):
        put(world.hub, f"big/{n}", b"%d" % n * 400_000)
    page = world.ask("/topics/big/*?way=refresh").body.decode()
    assert 'data-topic="big/3"' in page and 'data-topic="big/2"' in page
    assert 'data-topic="big/1"' not in page and "2 more topics" in page
    assert "more topics" not in world.ask("/topics/x/*?way=refresh").body.decode()
