"""The other project named ``scif`` on the package index, which uses the same import name and command."""

from __future__ import annotations

import sys
from importlib import metadata

import scif
from scif._extras import DISTRIBUTION

__all__ = ["describe_clash", "warn_of_clash"]

_OTHER = "scif"


def describe_clash() -> str | None:
    """One sentence on what clashes and how to mend it; None if nothing does."""
    try:
        other = metadata.distribution(_OTHER)
    except metadata.PackageNotFoundError:
        return None
    files = other.files or []
    if not any(file.parts[:2] == ("scif", "__init__.py") for file in files):
        return None  # another folder: nothing of ours is overwritten
    # the two share scif/__init__.py, so taking one away breaks the other, which has to be installed again
    mend = f"pip uninstall {_OTHER}, then pip install --force-reinstall --no-deps {DISTRIBUTION}"
    return (
        f"the package {_OTHER} {other.version} ({other.metadata['Summary']}) is another project that uses the same "
        f"import name and command as {DISTRIBUTION}; keep one in an environment: {mend}."
    )


def warn_of_clash() -> None:
    """Say on standard error that the other project is installed; refuse to run where it has replaced this one.

    Raises
    ------
    ImportError
        If ``import scif`` is the other project.
    """
    clash = describe_clash()
    if clash is None:
        return
    if not hasattr(scif, "__all__") or "model" not in scif.__all__:
        raise ImportError(clash, name=_OTHER)
    sys.stderr.write(f"scif: warning: {clash}\n")
