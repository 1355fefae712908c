from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.harness import program


def test_the_tally_counts() -> None:
    """The page's own arithmetic, by the tests in its language."""
    script = Path(__file__).with_name("tally.test.mjs")
    run = subprocess.run(
        [program("node"), "--test", "--test-reporter=tap", str(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "\n# pass 12\n" in run.stdout, run.stdout
