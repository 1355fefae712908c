"""Which file an address names, and what may not be asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.site.files import MAX_AT_ONCE, Elsewhere, Files, Found, media_type


class Now:
    seconds = 4e9  # far beyond any file's time: all are settled

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def root(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    for name in ("index.html", "a/b/c.txt", "a/b/index.html", "empty/x.css", ".git/config", ".env",
                 "a/.hidden/x", "ü ö/+&.html", "plain"):  # fmt: skip
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "site-beside").mkdir()
    (tmp_path / "site-beside" / "x").write_text("secret")
    return site


def files(root: Path) -> Files:
    return Files(str(root), Now())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "index.html"), ("/index.html", "index.html"), ("/a/b/c.txt", "a/b/c.txt"), ("/a/b/", "a/b/index.html"),
        ("/ü ö/+&.html", "ü ö/+&.html"), ("/plain", "plain"),
    ],
)  # fmt: skip
def test_what_is_there(root: Path, path: str, name: str) -> None:
    found = files(root).find(path)
    assert isinstance(found, Found)
    assert found.path == str(root.resolve() / name)
    assert files(root).read(found).data == name.encode()


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/a/", "/empty/", "/plain/", "/.env", "/.git/config", "/.git", "/a/.hidden/x", "//", "//index.html",
        "/a//b/c.txt", "/../secret", "/..", "/a/../../secret", "/./index.html", "/a/b/../../index.html", "/a\\b", "/\0",
        "/index.html\0.txt", "/../site-beside/x", "/etc/passwd", "/" + "x" * 5000, "/" + "a/" * 3000, "/...", "/\udc80",
    ],
)  # fmt: skip
def test_what_is_not(root: Path, path: str) -> None:
    assert files(root).find(path) is None


@pytest.mark.parametrize(
    ("path", "to"), [("/a/b", "/a/b/"), ("/ü ö", "/%C3%BC%20%C3%B6/"), ("/empty", "/empty/")]
)
def test_a_folder_without_its_slash_is_elsewhere(root: Path, path: str, to: str) -> None:
    assert files(root).find(path) == Elsewhere(to)


def test_links_within_are_followed_and_links_out_are_not(root: Path) -> None:
    (root / "in").symlink_to("a/b/c.txt")
    (root / "folder").symlink_to("a/b")
    (root / "out").symlink_to("/etc/passwd")
    (root / "up").symlink_to("..")
    (root / "beside").symlink_to("../site-beside")
    (root / "hidden").symlink_to(".env")
    (root / "loop").symlink_to("loop")
    (root / "a" / "index.html").symlink_to("../../secret")
    found = files(root)
    assert isinstance(found.find("/in"), Found)
    assert isinstance(found.find("/folder/"), Found)
    assert isinstance(found.find("/folder/c.txt"), Found)
    for path in ("/out", "/up/secret", "/up", "/beside/x", "/beside/", "/hidden", "/loop", "/a/"):
        assert found.find(path) is None, path


def test_a_site_that_is_itself_a_link_is_served(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(root)
    assert isinstance(files(tmp_path / "current").find("/plain"), Found)


def test_only_plain_files(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "null").symlink_to("/dev/null")
    assert files(root).find("/pipe") is None
    assert files(root).find("/null") is None


def test_what_was_found_may_have_become_something_else(root: Path) -> None:
    """Between finding and opening: a pipe does not block, a link is not followed."""
    site = files(root)
    for become in (
        os.mkfifo,
        lambda path: os.symlink("/etc/passwd", path),
        os.mkdir,
        lambda path: None,
    ):
        path = root / "changing"
        path.write_text("x")
        found = site.find("/changing")
        assert isinstance(found, Found)
        path.unlink()
        become(path)
        with pytest.raises(OSError):
            site.read(found)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        elif path.exists() or path.is_symlink():
            path.unlink()


def test_what_was_read_is_kept_until_it_changes(root: Path) -> None:
    site = files(root)

    def read() -> object:
        found = site.find("/plain")
        assert isinstance(found, Found)
        return site.read(found)

    first = read()
    assert read() is first
    (root / "plain").write_text("other")
    second = read()
    assert second is not first
    assert read() is second


def test_a_file_just_written_is_read_again(root: Path) -> None:
    """Its times may be those of another content."""
    now = Now()
    site = Files(str(root), now)
    found = site.find("/plain")
    assert isinstance(found, Found)
    now.seconds = found.mtime / 1e9 + 0.5
    assert site.read(found) is not site.read(found)
    assert site.read(found).tag == site.read(found).tag
    now.seconds += 10
    assert site.read(found) is site.read(found)


def test_a_file_that_grew_too_large_is_refused(root: Path) -> None:
    site = files(root)
    found = site.find("/plain")
    assert isinstance(found, Found)
    (root / "plain").write_bytes(bytes(MAX_AT_ONCE + 1))
    with pytest.raises(OSError, match="grew"):
        site.read(found)


def test_a_site_has_to_be_a_directory(root: Path) -> None:
    for path in (root / "plain", root / "missing"):
        with pytest.raises(ValueError, match="not a directory"):
            files(path)


@given(st.text(st.sampled_from("./\\ab~\0%-é"), max_size=20))
def test_no_address_leads_out(path: str) -> None:
    found = Files("/usr/share", Now()).find("/" + path)
    assert found is None or isinstance(found, Elsewhere) or found.path.startswith("/usr/share/")


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("x.html", "text/html; charset=utf-8"), ("X.HTML", "text/html; charset=utf-8"), ("x.css", "text/css; charset=utf-8"),
        ("x.js", "text/javascript; charset=utf-8"), ("x.mjs", "text/javascript; charset=utf-8"), ("x.json", "application/json"),
        ("x.svg", "image/svg+xml"), ("x.png", "image/png"), ("x.webp", "image/webp"), ("x.woff2", "font/woff2"),
        ("x.txt", "text/plain; charset=utf-8"), ("x.wasm", "application/wasm"), ("x.tar.gz", "application/gzip"),
        ("x", "application/octet-stream"), ("x.unknown", "application/octet-stream"), ("x.ico", "image/x-icon"),
        ("data:x.html", "text/html; charset=utf-8"),
    ],
)  # fmt: skip
def test_content_types(name: str, type: str) -> None:
    assert media_type(name) == type
