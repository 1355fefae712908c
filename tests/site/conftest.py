"""Serves a site that tests write their pages into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import Server


class Site(Server):
    """A server of the pages in a directory."""

    def __init__(self, root: Path, *options: str, base: str = "") -> None:
        super().__init__("--pages", str(root), *options, base=base)
        self.root = root

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the site."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with an index. Tests share it, each with pages and topics of its own."""
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_text("<!doctype html><title>the index</title><p>welcome")
    with Site(root) as running:
        yield running
