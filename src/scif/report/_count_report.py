"""The numbers of a report on denoised counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics import (
    Coverage,
    CrossValidation,
    NoiseFound,
    OverSmoothing,
    changed_most,
    noise_found,
    over_smoothing,
)
from scif.report._findings import Finding, findings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CountReport", "count_report"]

#: Values of the probability integral transform that are kept for its histogram.
_KEPT_PIT = 100_000


@dataclass(frozen=True)
class CountReport:
    """Report on denoised counts; see :func:`count_report`.

    Attributes
    ----------
    n_cells, n_genes, n_molecules
        Size of the data.
    held_out
        Losses of held-out molecules, compared with the baselines.
    noise
        Overdispersion of genes beyond Poisson sampling.
    coverage
        Fraction of held-out counts, or of true values, inside their intervals.
    pit
        Sample of the probability integral transform of held-out counts, for the histogram.
    smoothing
        Effects on correlations, zeros and the variance within clusters.
    collapse
        Message of the collapse monitor.
    cells, genes
        The most changed cells and genes.
    settings
        Settings and facts of the run, such as version, noise and seconds.
    """

    n_cells: int
    n_genes: int
    n_molecules: int
    held_out: CrossValidation | None
    noise: NoiseFound
    coverage: Coverage | None
    pit: np.ndarray | None
    smoothing: OverSmoothing
    collapse: str | None
    cells: pd.DataFrame
    genes: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)

    def findings(self) -> list[Finding]:
        """Findings as sentences, each with a flag that says whether it is as it should be."""
        return findings(self)

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per number: ``section``, ``measure`` and ``value``."""
        import pandas as pd

        rows: list[tuple[str, str, float]] = [
            ("data", "cells", self.n_cells),
            ("data", "genes", self.n_genes),
            ("data", "molecules", self.n_molecules),
        ]
        if self.held_out is not None:
            rows += [("held-out loss", name, v) for name, v in self.held_out.to_frame()["poisson_nll"].items()]
        rows.append(("noise", "overdispersion of the least variable genes", self.noise.steadiest))
        rows.append(("noise", "fraction of abundant genes like Poisson", self.noise.poisson_share))
        if self.coverage is not None:
            for level, row in self.coverage.to_frame().iterrows():
                rows += [("coverage", f"{level:.0%} intervals, {name}", share) for name, share in row.items()]
        rows += [("over-smoothing", name, value) for name, value in self.smoothing.to_frame()["mean"].items()]
        return pd.DataFrame(rows, columns=["section", "measure", "value"])

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML page with figures, which needs no network, and return its path.

        Parameters
        ----------
        path
            File to write, in an existing folder. It appears when it is complete.

        Raises
        ------
        ImportError
            If matplotlib (extra ``plot``) is not installed.
        """
        from scif.report._html import write

        return write(self, Path(path))

    def __repr__(self) -> str:
        head = f"CountReport: {self.n_cells:,} cells x {self.n_genes:,} genes, {self.n_molecules:,} molecules"
        lines = [f"  [{'ok' if f.good else 'look'}] {f.text}" for f in self.findings()]
        return "\n".join([head, *lines, "  to_frame() has the numbers; to_html(path) writes a page with figures."])


def count_report(
    observed: Any,
    denoised: Any | Callable[[slice], Any],
    *,
    held_out: CrossValidation | None = None,
    coverage: Coverage | None = None,
    pit: np.ndarray | None = None,
    denoised_null: Any | Callable[[slice], Any] = None,
    clusters: Any = None,
    collapse: str | None = None,
    cells: Sequence[str] | None = None,
    genes: Sequence[str] | None = None,
    n_changed: int = 20,
    settings: Mapping[str, Any] | None = None,
) -> CountReport:
    """Assemble a report from observed and denoised counts and any scores that you have computed.

    Denoised values are read block by block, so they need not fit in memory.

    Parameters
    ----------
    observed
        Observed counts, cells x genes, sparse or dense.
    denoised
        Expected counts at the depth of ``observed``, or a function that maps a slice of cells to their rows.
    held_out
        Result of :func:`scif.metrics.molecular_cross_validation`, with the baselines.
    coverage
        Result of :func:`scif.metrics.predictive_coverage` for held-out counts, or of :func:`scif.metrics.coverage`.
    pit
        Probability integral transform of held-out counts, from :func:`scif.metrics.randomised_pit` or
        :func:`scif.metrics.pit_of_draws`.
    denoised_null
        Denoised counts of the observed counts after :func:`scif.metrics.permute_genes`, in the same form as
        ``denoised``.
    clusters
        One label per cell, for the variance within clusters and the noise of the least variable genes.
    collapse
        Message of the collapse monitor.
    cells, genes
        Names of the cells and genes.
    n_changed
        Number of most changed cells and genes to list.
    settings
        Settings and facts of the run, by name.

    Raises
    ------
    ValueError
        If shapes differ, or if values are not counts.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import truncated_svd
    >>> from scif.report import count_report
    >>> adata = pbmc68k_counts()
    >>> report = count_report(adata.X, truncated_svd(adata.X, 10), genes=adata.var_names)
    >>> report.n_cells, len(report.genes)
    (700, 20)
    """
    counts_by_cell, counts_by_gene = changed_most(denoised, observed, n=n_changed, cells=cells, genes=genes)
    sample = None
    if pit is not None:
        values = np.asarray(pit).ravel()
        sample = values[:: max(-(-values.size // _KEPT_PIT), 1)].copy()
    return CountReport(
        n_cells=int(observed.shape[0]),
        n_genes=int(observed.shape[1]),
        n_molecules=int(observed.sum()),
        held_out=held_out,
        noise=noise_found(observed, clusters=clusters),
        coverage=coverage,
        pit=sample,
        smoothing=over_smoothing(denoised, observed, denoised_null=denoised_null, clusters=clusters),
        collapse=collapse,
        cells=counts_by_cell,
        genes=counts_by_gene,
        settings=dict(settings or {}),
    )
