"""Counts drawn through a known composition, so that a denoiser can be held against the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["simulate_counts"]

_CHUNK = 1024  # cells whose dense composition is held in memory at once


def simulate_counts(
    n_cells: int = 2000,
    n_genes: int = 2000,
    *,
    n_types: int = 6,
    n_batches: int = 1,
    trajectory: bool = True,
    depth: float = 2000.0,
    depth_spread: float = 0.4,
    batch_effect: float = 0.2,
    inverse_dispersion: float | None = None,
    truth: bool = True,
    seed: int = 0,
) -> AnnData:
    r"""Draw counts of cells with types, a branching trajectory and batches from a known expectation.

    The logarithm of a cell's composition is a sum of gene abundance (log-normal over four orders of magnitude), the
    sparse programme of its type, programmes that vary continuously within types, and a shift of its batch:
    :math:`\rho_c = \mathrm{softmax}(\ldots)`. Counts are Poisson, or negative binomial, with mean
    :math:`L_c \rho_c`.

    Parameters
    ----------
    n_cells
        Number of cells.
    n_genes
        Number of genes.
    n_types
        Number of cell types. With ``trajectory`` the first three are one lineage, a progenitor and its two fates.
    n_batches
        Number of batches, each with cells of every type.
    trajectory
        Whether the first three types form a continuum, a stem and two branches (needs ``n_types >= 3``).
    depth
        Mean expected molecules per cell.
    depth_spread
        Standard deviation of the logarithm of the library size.
    batch_effect
        Standard deviation over genes of the shift of log expression between batches.
    inverse_dispersion
        Inverse dispersion of negative binomial noise (variance ``mu + mu**2 / inverse_dispersion``); Poisson noise
        if not given.
    truth
        Whether to return the expected counts. They are dense: 4 bytes per cell and gene.
    seed
        Seed of all draws.

    Returns
    -------
    Counts in ``X`` (int32, CSR) and, with ``truth``, expected counts in ``layers["truth"]`` (float32, with row
    sums ``obs["library_size"]``). ``obs`` also has ``cell_type``, ``batch`` and, with ``trajectory``,
    ``pseudotime`` (0 in the progenitor, 1 at the end of a fate, missing outside the lineage).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from scif.datasets import simulate_counts
    >>> adata = simulate_counts(200, 300, depth=500, seed=1)
    >>> adata.X.shape, adata.layers["truth"].shape
    ((200, 300), (200, 300))
    """
    from anndata import AnnData

    _check_arguments(n_cells, n_genes, n_types, n_batches, trajectory, depth, inverse_dispersion)
    rng = np.random.default_rng(seed)
    genes = _draw_programmes(rng, n_genes, n_types=n_types, n_batches=n_batches, batch_effect=batch_effect)
    cells = _draw_cells(rng, n_cells, n_types=n_types, n_batches=n_batches, trajectory=trajectory)
    library_size = depth * np.exp(rng.normal(-0.5 * depth_spread**2, depth_spread, n_cells))

    expected = np.empty((n_cells, n_genes), np.float32) if truth else None
    counts = _draw_counts(rng, cells, genes, library_size, inverse_dispersion=inverse_dispersion, expected=expected)

    obs = pd.DataFrame({"cell_type": cells.type_names, "batch": cells.batch_names, "library_size": library_size})
    if trajectory:
        obs["pseudotime"] = cells.pseudotime
    obs.index = "cell_" + obs.index.astype(str)
    var = pd.DataFrame(index=[f"gene_{i}" for i in range(n_genes)])
    layers = None if expected is None else {"truth": expected}
    return AnnData(counts, obs=obs, var=var, layers=layers)


def _check_arguments(
    n_cells: int,
    n_genes: int,
    n_types: int,
    n_batches: int,
    trajectory: bool,
    depth: float,
    inverse_dispersion: float | None,
) -> None:
    for name, value, least in (
        ("n_cells", n_cells, 1),
        ("n_genes", n_genes, 1),
        ("n_types", n_types, 3 if trajectory else 1),
        ("n_batches", n_batches, 1),
    ):
        if value < least:
            msg = f"{name} is {value}; it must be at least {least}{' with trajectory=True' if least == 3 else ''}."
            raise ValueError(msg)
    for name, number in (("depth", depth), ("inverse_dispersion", inverse_dispersion)):
        if number is not None and not (np.isfinite(number) and number > 0):
            msg = f"{name} is {number:g}; it must be finite and positive."
            raise ValueError(msg)


@dataclass(frozen=True)
class _Programmes:
    """Genes: log abundance ``(genes,)`` and log fold changes ``(..., genes)``."""

    abundance: np.ndarray
    types: np.ndarray
    within: np.ndarray
    transient: np.ndarray
    batches: np.ndarray


@dataclass(frozen=True)
class _Cells:
    """Cells: weights of the programmes ``(cells, programmes)``, pseudotime and batch ``(cells,)``."""

    types: np.ndarray
    within: np.ndarray
    transient: np.ndarray
    pseudotime: np.ndarray
    batch: np.ndarray
    type_names: pd.Categorical
    batch_names: pd.Categorical


def _sparse_programmes(rng: np.random.Generator, n: int, n_genes: int, *, share: float, size: float) -> np.ndarray:
    """Log fold changes of ``n`` programmes that each touch a share of the genes, mostly upwards."""
    active = rng.random((n, n_genes)) < share
    return active * np.where(rng.random((n, n_genes)) < 0.75, 1.0, -1.0) * rng.gamma(2.0, size / 2.0, (n, n_genes))


def _draw_programmes(
    rng: np.random.Generator, n_genes: int, *, n_types: int, n_batches: int, batch_effect: float
) -> _Programmes:
    # Types share the programmes of a few families, so that some are close relatives, and have markers of their own.
    families = _sparse_programmes(rng, 1 + n_types // 3, n_genes, share=0.15, size=1.0)
    own = _sparse_programmes(rng, n_types, n_genes, share=0.06, size=1.5)
    return _Programmes(
        abundance=rng.normal(0.0, 1.8, n_genes),
        types=families[np.arange(n_types) // 3] + own,
        within=_sparse_programmes(rng, 3, n_genes, share=0.1, size=0.4),
        transient=_sparse_programmes(rng, 1, n_genes, share=0.05, size=1.0),
        batches=rng.normal(0.0, batch_effect, (n_batches, n_genes)) if n_batches > 1 else np.zeros((1, n_genes)),
    )


def _draw_cells(rng: np.random.Generator, n_cells: int, *, n_types: int, n_batches: int, trajectory: bool) -> _Cells:
    kind = rng.choice(n_types, n_cells, p=rng.dirichlet(np.full(n_types, 5.0)))
    identity = np.eye(n_types)
    types, transient = identity[kind], np.zeros((n_cells, 1))
    pseudotime = np.full(n_cells, np.nan)
    if trajectory:
        # A stem from the progenitor to the branch point in the first half of pseudotime, then two branches.
        lineage = np.flatnonzero(kind < 3)
        committed = kind[lineage] > 0
        s = 0.5 * (rng.random(lineage.size) + committed)
        branch_point = np.tile(0.4 * identity[0] + 0.3 * (identity[1] + identity[2]), (lineage.size, 1))
        begin = np.where(committed[:, None], branch_point, identity[0])
        end = np.where(committed[:, None], identity[kind[lineage]], branch_point)
        along = (2.0 * s - committed)[:, None]
        types[lineage] = (1.0 - along) * begin + along * end
        transient[lineage, 0] = np.sin(np.pi * s)
        pseudotime[lineage] = s
    batch = rng.integers(n_batches, size=n_cells)
    return _Cells(
        types=types,
        within=rng.normal(size=(n_cells, 3)),
        transient=transient,
        pseudotime=pseudotime,
        batch=batch,
        type_names=_categorical(kind, n_types, "type"),
        batch_names=_categorical(batch, n_batches, "batch"),
    )


def _draw_counts(
    rng: np.random.Generator,
    cells: _Cells,
    genes: _Programmes,
    library_size: np.ndarray,
    *,
    inverse_dispersion: float | None,
    expected: np.ndarray | None,
) -> sparse.csr_matrix:
    """Counts, some cells at a time; their expectation is written into ``expected`` where wanted."""
    blocks = []
    for rows, composition in _compositions(cells, genes):
        mean = library_size[rows, None] * composition
        if expected is not None:
            expected[rows] = mean
        if inverse_dispersion is not None:
            mean = rng.gamma(inverse_dispersion, mean / inverse_dispersion)
        blocks.append(sparse.csr_matrix(rng.poisson(mean).astype(np.int32)))
    return sparse.vstack(blocks, format="csr")


def _categorical(codes: np.ndarray, n: int, stem: str) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [f"{stem}{i}" for i in range(n)])


def _compositions(cells: _Cells, genes: _Programmes) -> Iterator[tuple[slice, np.ndarray]]:
    """Dense compositions ``(rows, genes)``, some cells at a time."""
    weights = np.hstack([cells.types, cells.within, cells.transient])
    programmes = np.vstack([genes.types, genes.within, genes.transient])
    for start in range(0, len(weights), _CHUNK):
        rows = slice(start, start + _CHUNK)
        logits = weights[rows] @ programmes + genes.abundance + genes.batches[cells.batch[rows]]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        yield rows, logits
