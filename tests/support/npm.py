"""npm packages for tests, kept in folders of the tree that git ignores."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from tests.support.harness import program


def install(folder: Path) -> Path:
    """Install what a folder's package.json names, unless that has been done; its `node_modules`."""
    wanted = (folder / "package.json").read_text()
    modules = folder / "node_modules"
    modules.mkdir(exist_ok=True)
    done = modules / ".installed-for"
    with (modules / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not done.exists() or done.read_text() != wanted:
            subprocess.run(
                [program("npm"), "install", "--no-package-lock", "--no-audit", "--no-fund",
                 "--ignore-scripts=false", "--loglevel=error"],
                cwd=folder, check=True, timeout=240, capture_output=True,
            )  # fmt: skip
            done.write_text(wanted)
    return modules
