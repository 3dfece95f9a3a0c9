from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

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


#: What each subpackage may import of the others; those that stand for themselves (``modelfile``) are no layer.
LAYERS = {
    "core": set(),
    "nn": {"core"},
    "counts": {"core", "nn"},
    "metrics": set(),
    "report": {"metrics"},
    "fields": {"core", "nn"},
    "model": {"counts", "core", "nn", "metrics", "report"},
    "pp": {"model"},
}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, those within functions and for types included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer):
    root = Path(scif.__file__).parent
    allowed = LAYERS[layer] | {layer}
    for path in sorted((root / layer).rglob("*.py")):
        names = imported(path)
        layers = {name.split(".")[1] for name in names if name.startswith("scif.")} & set(LAYERS)
        assert layers <= allowed, f"{path.relative_to(root)} imports {layers - allowed}"
        if layer == "counts":
            assert not {name.split(".")[0] for name in names} & {"scvi", "scanpy", "anndata"}, path
