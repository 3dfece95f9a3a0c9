"""Pages whose blocks are one script run as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

import scif
from scif.core.noise import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(path for path in [ROOT / "README.md", *DOCS.glob("*.md")] if BLOCK.search(path.read_text()))
#: Counts in ``X`` or in a layer that are replaced.
OVERWRITES = re.compile(r"adata\.(X|layers\[.counts.\])\s*=")


def blocks(page: Path) -> list[str]:
    """Python blocks of a page, each with as many empty lines before it as the page has: errors name its line."""
    text = page.read_text()
    return ["\n" * text.count("\n", 0, block.start(1)) + block.group(1) for block in BLOCK.finditer(text)]


@pytest.fixture
def names() -> Iterator[None]:
    """Names that a page registers go with it."""
    known = dict(registry._CHANNELS)
    yield
    registry._CHANNELS.clear()
    registry._CHANNELS.update(known)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short trainings on few cells, in a folder of their own with the files that pages speak of."""
    from scif.fields.images import ImageDenoiser
    from scif.model import ICM

    for owner, name, least in ((ICM, "train", {"max_epochs": 2}), (ImageDenoiser, "fit", {"max_steps": 5})):
        whole = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, whole=whole, least=least, **given: whole(*args, **least | given))
    cells = scif.datasets.pbmc68k_counts()
    some = np.arange(cells.n_vars) < 200
    few = cells[:250, some | cells.var_names.isin(["LYZ", "NKG7"])]
    monkeypatch.setattr(scif.datasets, "pbmc68k_counts", few.copy)
    monkeypatch.chdir(tmp_path)
    scene = np.random.default_rng(0).poisson(50.0 + 20.0 * np.sin(np.arange(64) / 6), (3, 64, 64))
    tifffile.imwrite("stack.tif", scene.astype(np.uint16), metadata={"axes": "TYX"})


@pytest.mark.trains
@pytest.mark.usefixtures("names", "quick")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs_from_top_to_bottom(page: Path) -> None:
    scope: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), scope)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_teaches_to_overwrite_counts(page: Path) -> None:
    assert not [block for block in blocks(page) if OVERWRITES.search(block)]


def test_own_channel_objective_and_network_take_less_than_40_lines() -> None:
    own = "\n".join(blocks(DOCS / "bring_your_own_noise.md")[:3])
    assert sum(bool(line) for line in own.splitlines()) < 40


def test_every_error_of_the_faq_stands_in_the_source() -> None:
    text = (DOCS / "faq.md").read_text()
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    source = re.sub(r'"\n\s*f?"', "", source)  # strings that go on in the next line
    absent = [words for words in re.findall(r"^### (.+)$", text, re.MULTILINE) if words not in source]
    assert not absent


def test_links_of_pages_lead_to_files() -> None:
    pages = [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "benchmarks").rglob("*.md")]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken
