"""hexcast.js as a file: how it is served, its size, that it is what its source says, node's tests."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.harness import Server, ask, get, program
from tests.support.npm import install

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "js" / "hexcast.js"


async def test_served_with_a_short_life(server: Server) -> None:
    answer = await get(server, "/hexcast.js")
    assert answer.status == 200 and answer.body == MODULE.read_bytes()
    assert answer["content-type"] == "text/javascript; charset=utf-8"
    assert answer["cache-control"] == "max-age=60"
    again = await get(server, "/hexcast.js", {"If-None-Match": answer["etag"]})
    assert (again.status, again.body, again["etag"]) == (304, b"", answer["etag"])
    assert (await ask(server, "HEAD", "/hexcast.js")).body == b""
    assert (await ask(server, "POST", "/hexcast.js", (), b"x")).status == 405


async def test_served_for_good_under_its_hash(server: Server) -> None:
    link = (await get(server, "/hexcast.js"))["link"]
    name = link[link.index("<") + 1 : link.index(">")]
    answer = await get(server, name)
    assert answer.status == 200 and answer.body == MODULE.read_bytes()
    assert answer["cache-control"] == "public, max-age=31536000, immutable"
    assert (await get(server, "/hexcast-0123456789abcdef.js")).status == 404


async def test_under_a_base_path() -> None:
    with Server(base="/live") as server:
        link = (await get(server, "/hexcast.js"))["link"]
        assert link.startswith("</live/hexcast-")
        assert (await get(server, link[6 : link.index(">")])).status == 200


def test_the_size() -> None:
    assert len(gzip.compress(MODULE.read_bytes(), 9)) <= 6 * 1024


def test_it_is_what_its_source_says(tmp_path: Path) -> None:
    install(ROOT / "js")
    built = MODULE.read_bytes()
    try:
        subprocess.run(
            [program("npm"), "run", "--silent", "build"],
            cwd=ROOT / "js", check=True, timeout=60, capture_output=True,
        )  # fmt: skip
        assert MODULE.read_bytes() == built, "run `make js`"
    finally:
        MODULE.write_bytes(built)


def test_the_tests_of_its_pure_parts() -> None:
    ran = subprocess.run(
        [program("node"), "--test", "test/"],
        cwd=ROOT / "js", timeout=60, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_types() -> None:
    install(ROOT / "js")
    ran = subprocess.run(
        [program("npm"), "run", "--silent", "types"],
        cwd=ROOT / "js", timeout=100, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_versions_are_the_same() -> None:
    import hexcast

    assert json.loads((ROOT / "js" / "package.json").read_text())["version"] == hexcast.__version__


def test_the_package_has_it(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT, check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("hexcast/web/hexcast.js") == MODULE.read_bytes()
