"""Packages that only some uses need: imported where they are used, named with the command that installs them."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["DISTRIBUTION", "MissingExtraError", "require"]

DISTRIBUTION = "scif-tools"
"""Name on the package index; ``scif`` there is another project."""

_NAMES = {"ot": "POT", "pywt": "PyWavelets", "skimage": "scikit-image", "umap": "umap-learn"}
"""Names on the package index of modules that are imported by another name."""


class MissingExtraError(ImportError):
    """A package of an extra is not installed.

    The message names the package, what needs it and the command that installs the extra.
    """


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import a module of an extra.

    Parameters
    ----------
    module
        Module to import, such as ``"skimage.metrics"``.
    extra
        Extra of ``pyproject.toml`` that installs it.
    purpose
        What needs it: the subject of the message.

    Returns
    -------
    The module.

    Raises
    ------
    MissingExtraError
        If the package is not installed.

    Examples
    --------
    >>> from scif._extras import require
    >>> require("absent_package", extra="images", purpose="ssim()")
    Traceback (most recent call last):
    ...
    scif._extras.MissingExtraError: ssim() needs the package absent_package, which is not installed. \
Install it with: pip install "scif-tools[images]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the package is there, and misses something of its own
        msg = (
            f"{purpose} needs the package {_NAMES.get(top, top)}, which is not installed. "
            f'Install it with: pip install "{DISTRIBUTION}[{extra}]"'
        )
        raise MissingExtraError(msg, name=top) from error
