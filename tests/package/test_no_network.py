"""Neither importing nor running scif reaches for the network."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
#: Every attempt to look up a name or to connect ends the process with a line that says what was tried.
BLOCK = """
import os, sys
def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        os.write(2, f"NETWORK {event} {arguments}".encode())
        os._exit(9)
sys.addaudithook(audit)
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = BLOCK + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=folder, capture_output=True, text=True)


@pytest.mark.trains
def test_import_training_and_files_need_no_network(tmp_path):
    done = run(
        """
        import importlib, pkgutil
        import numpy as np
        import scif
        for module in pkgutil.walk_packages(scif.__path__, "scif."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        adata = scif.datasets.pbmc68k_counts()[:80, :60].copy()
        adata = adata[np.asarray(adata.X.sum(1)).ravel() > 0].copy()
        scif.model.ICM.setup_anndata(adata)
        model = scif.model.ICM(adata)
        model.train(max_epochs=1, enable_progress_bar=False)
        model.save("model")
        scif.model.ICM.load("model", adata=adata).denoise_to("denoised.h5ad", silent=True)
        from scif.fields.images import ImageDenoiser
        ImageDenoiser("gaussian", widths=(4, 8)).fit(np.random.default_rng(0).normal(100, 9, (2, 40, 40)), max_steps=1)
        from scif.cli import main
        main(["simulate", "counts.h5ad", "--cells", "60", "--genes", "30"])
        print("done")
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "done"


def test_the_network_would_be_noticed(tmp_path):
    done = run("import socket; socket.create_connection(('localhost', 9), timeout=1)", tmp_path)
    assert done.returncode == 9
    assert "NETWORK" in done.stderr


def test_nothing_is_downloaded_so_that_there_is_nothing_to_check_by_hash():
    words = re.compile(
        r"\b(pooch|urlopen|urlretrieve|requests|httpx|aiohttp|load_state_dict_from_url|hf_hub_download)\b"
    )
    assert not [path.name for path in SOURCE.rglob("*.py") if words.search(path.read_text())]
