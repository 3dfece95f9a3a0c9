from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import scif

HEAVY = ("anndata", "lightning", "pandas", "scanpy", "scvi", "torch", "umap")


def loaded_after(statement: str, names: tuple[str, ...]) -> str:
    """Names of the modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys; print(' '.join(n for n in {names!r} if n in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import scif", HEAVY) == ""


@pytest.mark.trains
@pytest.mark.parametrize("module", ["core", "nn", "fields.images", "fields.fluids", "metrics", "datasets"])
def test_only_the_count_model_needs_scvi_tools_and_scanpy(module):
    assert loaded_after(f"import scif.{module}", ("scvi", "scanpy", "umap")) == ""


@pytest.mark.trains
@pytest.mark.parametrize("module", ["metrics", "datasets"])
def test_arrays_need_no_torch(module):
    assert loaded_after(f"import scif.{module}", ("torch", "lightning")) == ""


def test_submodules_appear_on_first_use():
    assert set(scif.__all__) <= set(dir(scif))
    assert scif.metrics is importlib.import_module("scif.metrics")
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = scif.absent
