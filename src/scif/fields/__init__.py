"""Clients of the core beyond counts: microscopy and natural images, and fluid fields."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scif.fields import fluids, images

__all__ = ["fluids", "images"]


def __getattr__(name: str) -> Any:
    """Import a submodule on first use."""
    if name in __all__:
        return importlib.import_module(f"scif.fields.{name}")
    msg = f"module 'scif.fields' has no attribute {name!r}; its submodules are {', '.join(__all__)}."
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
