"""Everything public has its place in the documentation."""

from __future__ import annotations

import inspect
import sys
import zlib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BUILT = DOCS / "_build" / "html" / "objects.inv"


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    import public

    yield public
    for name in ("public", "groups"):
        sys.modules.pop(name, None)


def documented() -> set[str]:
    """Names of Python objects in the inventory of the site that ``make docs`` has built."""
    _, _, compressed = BUILT.read_bytes().partition(b"using zlib.\n")
    lines = zlib.decompress(compressed).decode().splitlines()
    return {line.split(" ")[0] for line in lines if line.split(" ")[1].startswith("py:")}


def test_groups_by_use_hold_every_public_name(public) -> None:
    assert not public.group_errors()


@pytest.mark.skipif(not BUILT.exists(), reason="the site is not built: make docs")
def test_the_site_documents_every_public_name_and_method(public) -> None:
    wanted, pages = public.public_names(), public.page_of_class()
    for name in public.public_names():
        owner = public.public_object(name)
        for member in public.members(name):
            page = pages.get(public.owner_of(owner, member), name)
            wanted.add(f"{name if name in public.CLASS_GROUPS else page}.{member}")
    assert not sorted(wanted - documented())


def test_members_of_the_main_class_include_inherited_ones(public) -> None:
    names = public.members("scif.model.ICM")
    assert {"get_denoised", "setup_mudata", "is_trained"} <= names
    assert "get_denoised" not in vars(public.public_object("scif.model.ICM"))
    assert inspect.isclass(public.public_object("scif.model.ICM"))
