"""Pages whose blocks are one script run as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scif.core.noise import registry

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    """Python blocks of a page, each with as many empty lines before it as the page has: errors name its line."""
    text = (DOCS / page).read_text()
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return ["\n" * text.count("\n", 0, block.start(1)) + block.group(1) for block in found]


@pytest.fixture
def names() -> Iterator[None]:
    """Names that a page registers go with it."""
    known = dict(registry._CHANNELS)
    yield
    registry._CHANNELS.clear()
    registry._CHANNELS.update(known)


@pytest.mark.trains
@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("page", ["bring_your_own_noise.md"])
def test_a_page_runs_from_top_to_bottom(page: str) -> None:
    scope: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        exec(compile(block, str(DOCS / page), "exec"), scope)


def test_own_channel_objective_and_network_take_less_than_40_lines() -> None:
    own = [line for block in blocks("bring_your_own_noise.md")[:3] for line in block.strip().splitlines() if line]
    assert len(own) < 40
