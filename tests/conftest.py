from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import matplotlib as mpl
import pytest
import torch
from anndata import AnnData
from lightning.pytorch.trainer.connectors.accelerator_connector import _AcceleratorConnector

from scif.datasets import pbmc68k_counts, simulate_counts

mpl.use("Agg")


@pytest.fixture(scope="session", autouse=True)
def _processor() -> Iterator[None]:
    """Laws hold to the last bit on a processor; what is trained on a GPU (``test_gpu.py``) asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_AcceleratorConnector, "_choose_auto_accelerator", staticmethod(lambda: "cpu"))
        yield


@pytest.fixture(autouse=True)
def _ctrl_c() -> None:
    """A shell ignores Ctrl-C in what it runs in the background; tests and their processes take it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_figures() -> Iterator[None]:
    """A test that draws with pyplot leaves nothing open for the next."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def threads() -> Iterator[int]:
    """torch has three threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def _pbmc() -> AnnData:
    return pbmc68k_counts()


@pytest.fixture
def pbmc(_pbmc: AnnData) -> AnnData:
    """Real counts, 700 cells x 765 genes, a fresh copy for every test."""
    return _pbmc.copy()


@pytest.fixture(scope="session")
def _simulated() -> AnnData:
    return simulate_counts(400, 300, n_batches=2, depth=800.0, seed=7)


@pytest.fixture
def simulated(_simulated: AnnData) -> AnnData:
    """Simulated counts with their expectation, 400 cells x 300 genes, two batches, a fresh copy for every test."""
    return _simulated.copy()
