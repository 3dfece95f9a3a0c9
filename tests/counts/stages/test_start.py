"""Laws of the width that held-out molecules choose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scif.counts.config import StartConfig
from scif.counts.stages.start import choose_width

WIDTHS = StartConfig().widths


def _directions(k: int, *, cells: int = 1500, genes: int = 400, depth: float = 4000.0) -> sparse.csr_matrix:
    """Poisson counts whose log-rates have ``k`` independent directions of equal strength."""
    rng = np.random.default_rng(k)
    logits = rng.normal(size=(cells, k)) @ rng.normal(size=(k, genes)) / np.sqrt(k)
    rates = np.exp(logits)
    return sparse.csr_matrix(rng.poisson(depth * rates / rates.sum(1, keepdims=True)).astype(np.float32))


def _width(x: sparse.csr_matrix) -> int:
    return choose_width(x, rng=np.random.default_rng(0))


@pytest.mark.trains
def test_few_directions_are_found_and_the_deeper_the_data_the_more_of_their_curvature():
    shallow, deep = (_width(_directions(3, depth=depth)) for depth in (200.0, 4000.0))
    assert 3 <= shallow <= deep <= 12


@pytest.mark.trains
def test_many_directions_ask_for_more_than_the_first_widths_offer():
    assert _width(_directions(100)) in (48, 64)


@pytest.mark.parametrize("cells", [20, 40, 60])
def test_no_more_components_than_the_data_have(cells):
    x = _directions(100, cells=cells)
    width = _width(x)
    assert width in WIDTHS
    assert width < cells


def test_counts_without_structure_have_the_narrowest():
    x = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, size=(500, 200)).astype(np.float32))
    assert _width(x) == WIDTHS[0]


def test_cells_too_few_to_judge_have_one_component():
    assert _width(_directions(2, cells=2)) == 1


def test_the_width_is_that_of_the_seed():
    x = _directions(20)
    assert _width(x) == _width(x)
