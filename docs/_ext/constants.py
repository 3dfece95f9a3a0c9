"""Docstrings of constants, which a package that imports them from its modules would lose."""

from __future__ import annotations

import sys
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer


def docstring_of(full_name: str) -> str | None:
    """Text below the assignment of a constant, in the module that makes it."""
    package, _, name = full_name.rpartition(".")
    for module in [it for it in sys.modules if it == package or it.startswith(f"{package}.")]:
        text = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name))
        if text:
            return "\n".join(text)
    return None


def _describe(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    text = docstring_of(name) if what == "data" else None
    if text:
        lines[:] = [*text.splitlines(), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", _describe)
    return {"parallel_read_safe": True}
