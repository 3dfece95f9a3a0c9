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
    """Judgement of denoised counts; see :func:`count_report`.

    Attributes
    ----------
    n_cells, n_genes, n_molecules
        Size of the data.
    held_out
        Losses of held-out molecules beside the baselines.
    noise
        Overdispersion of genes beyond Poisson sampling.
    coverage
        Share of held-out counts, or of true values, in their intervals.
    pit
        A sample of the probability integral transform of held-out counts, for its histogram.
    smoothing
        Correlations, zeros and variance within clusters.
    collapse
        Message of the collapse monitor.
    cells, genes
        Those that changed most.
    settings
        Facts of the run by name, such as version, noise and seconds.
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
        """The answers in sentences, each with whether it is as it should be."""
        return findings(self)

    def to_frame(self) -> pd.DataFrame:
        """One row per number: its ``section``, ``measure`` and ``value``."""
        import pandas as pd

        rows: list[tuple[str, str, float]] = [
            ("data", "cells", self.n_cells),
            ("data", "genes", self.n_genes),
            ("data", "molecules", self.n_molecules),
        ]
        if self.held_out is not None:
            rows += [("held-out loss", name, v) for name, v in self.held_out.to_frame()["poisson_nll"].items()]
        rows.append(("noise", "overdispersion of the steadiest genes", self.noise.steadiest))
        rows.append(("noise", "share of abundant genes like Poisson", self.noise.poisson_share))
        if self.coverage is not None:
            for level, row in self.coverage.to_frame().iterrows():
                rows += [("coverage", f"{level:.0%} intervals, {name}", share) for name, share in row.items()]
        rows += [("over-smoothing", name, value) for name, value in self.smoothing.to_frame()["mean"].items()]
        return pd.DataFrame(rows, columns=["section", "measure", "value"])

    def to_html(self, path: str | Path) -> Path:
        """Write one page with figures in it, which needs no network, and return its path.

        Parameters
        ----------
        path
            File to write; its folder has to exist. It appears once it is complete.

        Raises
        ------
        ImportError
            If matplotlib, of the extra ``plot``, is missing.
        """
        from scif.report._html import write

        return write(self, Path(path))

    def __repr__(self) -> str:
        head = f"CountReport: {self.n_cells:,} cells x {self.n_genes:,} genes, {self.n_molecules:,} molecules"
        lines = [f"  [{'ok' if f.good else 'look'}] {f.text}" for f in self.findings()]
        return "\n".join([head, *lines, "  to_frame() has the numbers, to_html(path) the page with figures."])


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
    """Put together a report from observed and denoised counts, and from what else was computed.

    Denoised values are read block by block, so that they need not be in memory.

    Parameters
    ----------
    observed
        Observed counts, cells x genes, sparse or dense.
    denoised
        Expected counts at the depth of ``observed``; or a function from a slice of cells to their rows.
    held_out
        Losses of :func:`scif.metrics.molecular_cross_validation`, with the baselines.
    coverage
        Of :func:`scif.metrics.predictive_coverage` for held-out counts, or :func:`scif.metrics.coverage`.
    pit
        Transform of held-out counts, by :func:`scif.metrics.randomised_pit` or :func:`scif.metrics.pit_of_draws`.
    denoised_null
        Denoised counts of the observed ones after :func:`scif.metrics.permute_genes`; likewise.
    clusters
        One label per cell, for the variance within clusters and the noise of the steadiest genes.
    collapse
        Message of the collapse monitor.
    cells, genes
        Their names.
    n_changed
        How many of the cells and genes that changed most to list.
    settings
        Facts of the run by name.

    Raises
    ------
    ValueError
        If shapes differ, or values are no counts.

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
