"""Remove measurement noise from single-cell counts, images and fluid fields, learning from noisy data alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scif import cli, core, datasets, fields, metrics, model, nn, pl, pp, report

__all__ = ["cli", "core", "datasets", "fields", "metrics", "model", "nn", "pl", "pp", "report"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a submodule on first use: nobody pays for scvi-tools or scanpy before needing them."""
    if name in __all__:
        return importlib.import_module(f"scif.{name}")
    msg = f"module 'scif' has no attribute {name!r}; its submodules are {', '.join(__all__)}."
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
