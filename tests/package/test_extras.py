"""What is not installed is named with the command that installs it; the rest works without it."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import scif
from scif._extras import DISTRIBUTION, MissingExtraError, require

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def run_without(absent: tuple[str, ...], code: str) -> str:
    """Output of code in an interpreter that has none of the packages."""
    script = BLOCK.format(absent=absent) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.trains
def test_the_library_loads_without_scvi_tools_scanpy_and_the_extras():
    absent = ("scvi", "scanpy", "umap", "ot", "pywt", "skimage", "tifffile", "torchdiffeq", "loompy")
    run_without(
        absent, "import scif.metrics, scif.datasets, scif.core, scif.nn, scif.fields.images, scif.fields.fluids"
    )


@pytest.mark.trains
def test_counts_need_no_extra():
    said = run_without(
        ("ot", "pywt", "skimage", "tifffile", "torchdiffeq", "loompy"),
        """
        import scif
        adata = scif.datasets.simulate_counts(60, 30, depth=300, seed=0)
        scif.model.ICM.setup_anndata(adata)
        model = scif.model.ICM(adata, n_latent=2)
        model.train(max_epochs=1, enable_progress_bar=False)
        print(model.get_denoised(silent=True).shape)
        """,
    )
    assert said.splitlines()[-1] == "(60, 30)"


@pytest.mark.parametrize(
    ("absent", "extra", "use"),
    [
        ("torchdiffeq", "fluids", lambda: scif.core.solve(lambda x, t: x, torch.ones(2, 1), method="adaptive")),
        ("ot", "fluids", lambda: scif.core.sliced_wasserstein(torch.ones(4, 1), torch.ones(4, 1))),
        ("skimage.metrics", "images", lambda: scif.fields.images.ssim(np.ones((8, 8)), np.ones((8, 8)))),
        ("igraph", "plot", lambda: scif.metrics.label_agreement(np.eye(9), [0] * 4 + [1] * 5, embedding=True)),
        ("pywt", "images", lambda: scif.fields.images.calibrate_gaussian(np.ones((64, 64)))),
    ],
)
def test_a_missing_extra_is_named_with_its_command(monkeypatch, absent, extra, use):
    monkeypatch.setitem(sys.modules, absent, None)  # as if it could not be found
    with pytest.raises(ImportError, match=re.escape(f'pip install "{DISTRIBUTION}[{extra}]"')):
        use()


def test_a_package_that_fails_of_its_own_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import absent_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_dependency") as caught:
        require("half_installed", extra="images", purpose="a test")
    assert not isinstance(caught.value, MissingExtraError)


def test_extras_named_in_the_code_exist():
    project = tomllib.loads(PROJECT.read_text())["project"]
    source = "".join(path.read_text() for path in (PROJECT.parent / "src").rglob("*.py"))
    for extra in set(source.split('extra="')[1:]):
        assert extra.partition('"')[0] in project["optional-dependencies"]
    assert project["name"] == DISTRIBUTION


@pytest.mark.trains
def test_figures_name_matplotlib():
    said = run_without(
        ("matplotlib",),
        """
        import scif.report
        try:
            import scif.pl
        except ImportError as error:
            print(error)
        """,
    )
    assert (
        f'scif.pl needs the package matplotlib, which is not installed. Install it with: pip install "{DISTRIBUTION}['
        in said
    )
