"""Draws counted stacks as a flame graph (one SVG, no script), and lists the hottest lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

__all__ = ["flame_graph", "hottest"]

WIDTH, ROW, LETTER = 1200, 17, 6.2
NARROWEST = 0.5
"""Boxes narrower than this many pixels are left out."""

Stacks = Mapping[tuple[str, ...], int]


@dataclass(slots=True)
class _Node:
    count: int = 0
    calls: dict[str, _Node] = field(default_factory=dict)


def _tree(stacks: Stacks) -> _Node:
    root = _Node()
    for stack, count in stacks.items():
        node = root
        node.count += count
        for name in stack:
            node = node.calls.setdefault(name, _Node())
            node.count += count
    return root


def _colour(name: str) -> str:
    hue = crc32(name.rpartition(":")[0].encode()) % 55
    return f"hsl({hue},75%,{62 + hue % 12}%)"


def flame_graph(stacks: Stacks, title: str) -> str:
    """An SVG: callers below, what they call above, widths as shares of all samples."""
    root = _tree(stacks)
    boxes: list[str] = []
    depth_of_all = max(map(len, stacks))
    height = (depth_of_all + 2) * ROW

    def draw(name: str, node: _Node, left: float, depth: int) -> None:
        width = node.count / root.count * WIDTH
        if width < NARROWEST:
            return
        top = height - (depth + 1) * ROW
        share = f"{name}: {node.count} samples, {node.count / root.count:.1%}"
        shown = name[: int((width - 4) / LETTER)] if width > 3 * LETTER else ""
        boxes.append(
            f"<g><title>{escape(share)}</title>"
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" '
            f'fill="{_colour(name)}"/>'
            f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(shown)}</text></g>'
        )
        for called, below in sorted(node.calls.items()):
            draw(called, below, left, depth + 1)
            left += below.count / root.count * WIDTH

    draw(f"{title}: all", root, 0, 0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="monospace" font-size="10">' + "\n".join(boxes) + "</svg>\n"
    )


def hottest(stacks: Stacks, count: int = 40) -> str:
    """The lines with the most samples of their own, and the functions with the most in all."""
    total = sum(stacks.values())
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for stack, samples in stacks.items():
        own[stack[-1]] += samples
        for name in {*stack[:-1], stack[-1].rpartition(":")[0]}:
            within[name] += samples
    lines = [f"{total} samples", "", "own time, by line:"]
    lines += [f"{samples / total:7.1%}  {name}" for name, samples in own.most_common(count)]
    lines += ["", "with what is called, by function:"]
    lines += [f"{samples / total:7.1%}  {name}" for name, samples in within.most_common(count)]
    return "\n".join(lines) + "\n"
