"""Transformed values that pass as counts: logarithms, square roots, normalised sums and z-scores are named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scif.counts.data.pairs import too_alike

__all__ = ["GeneMoments", "transformed"]

#: Share of the entries that must be whole once a transformation is undone, and entries that must be looked at.
MOSTLY, ENOUGH = 0.95, 10
#: Distance from a whole number that passes as rounding; ratios to a cell's smallest value that are looked at at most.
WHOLE, RATIO = 0.02, 20.0
#: Relative spread of sums over cells that are equal, and the same in units of what Poisson noise would give.
EQUAL, UNLIKE_POISSON = 1e-3, 0.2
#: Largest value that a logarithm of counts has: 2**40 molecules are more than any cell's.
LARGEST_LOG = 40.0
#: Mean in the cells that show a gene from which its variance there is compared with that of counts, and such cells.
#: Logarithms and roots flatten the genes of the largest means most: one in so many is looked at, and so many at least.
MEASURED, FEWEST, ONE_IN, TOP = 1.7, 5, 20, 10
#: Ratio of these variances that corrected counts do not fall below; that of counts with a margin for few cells, and
#: standard errors by which the median over genes must fall short of it.
LEAST_RATIO, USUAL_RATIO, SURE = 0.55, 0.9, 6.0
#: Mean squares of genes between which positive parts of z-scores lie, genes among them, and genes and cells to judge.
Z_SQUARES, Z_GENES, Z_ENOUGH = (0.25, 1.1), 0.9, 20
#: Entries without which values of at most one may be few corrected counts.
LEAST_SCALED = 100
#: Units that rounding to decimals or splitting a read between genes leave: such values are corrected counts.
PARTS = (2, 3, 4, 10, 100, 1000)
#: Rates of Poisson counts, and their means where they are not zero.
_RATES = np.geomspace(1e-3, 1e9, 4000)
_MEANS = _RATES / -np.expm1(-_RATES)


@dataclass
class GeneMoments:
    """Sums over cells, gene by gene, of what is read in pieces.

    Attributes
    ----------
    first, second
        Sums of values and of their squares, ``(genes,)``.
    seen
        Cells that show a gene, ``(genes,)``.
    cells
        Cells that were added.
    depth
        Sum of all values.
    """

    first: np.ndarray
    second: np.ndarray
    seen: np.ndarray
    cells: int = 0
    depth: float = 0.0

    @classmethod
    def empty(cls, genes: int) -> GeneMoments:
        """Sums before any cell."""
        return cls(*np.zeros((3, genes)))

    def add(self, x: sparse.csr_matrix) -> None:
        """Add cells ``(cells, genes)``."""
        values = x.data.astype(np.float64)
        self.first += np.bincount(x.indices, values, len(self.first))
        self.second += np.bincount(x.indices, values**2, len(self.second))
        self.seen += np.bincount(x.indices[values > 0], minlength=len(self.seen))
        self.cells += x.shape[0]
        self.depth += float(values.sum())


def transformed(x: sparse.csr_matrix, moments: GeneMoments) -> str | None:
    """Say which transformation of counts values are; None if they may be counts.

    A transformation is recognised by what undoing it gives: whole numbers, whole multiples of one unit in each cell,
    or cells of equal sums. Transformed values that are recognised by none of these (of fractional counts, or rounded)
    vary less than counts do. Any mixture of Poisson counts has, where it is not zero, at least the variance of one
    Poisson count with that mean, because that variance is a convex function of the mean.

    Parameters
    ----------
    x
        Values of some cells, not negative, ``(cells, genes)``.
    moments
        Sums over all cells.

    Returns
    -------
    str or None
        The end of a sentence that begins with the name of the values, with the mend.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> x = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (50, 30)), dtype=float)
    >>> def named(x):
    ...     moments = GeneMoments.empty(x.shape[1])
    ...     moments.add(x)
    ...     return transformed(x, moments)
    >>> named(x) is None
    True
    >>> named(x.sqrt()).split(":")[0]
    'looks square-root-transformed'
    """
    x = sparse.csr_matrix(x, dtype=np.float64)
    x.eliminate_zeros()
    if x.nnz == 0:
        return None
    odd = x.data != np.round(x.data)
    if int(odd.sum()) >= ENOUGH:
        said = _of_fractions(x, odd) or _scaled(moments) or _at_most_one(x, odd)
        if said is not None:
            return said
    elif not odd.any() and _rounded_to_a_sum(x):
        return (
            "looks normalised and rounded: the values of each cell are multiples of one number, which is not 1. "
            "Divide each cell by its smallest value to get the counts back."
        )
    elif not odd.any() and (about := _about_one_sum(np.asarray(x.sum(1)).ravel())):
        return (
            f"looks normalised and rounded: every cell adds up to about {about:g}, some to more and some to less, as "
            "counts per 10,000 or transcripts per million do. Start again from the counts."
        )
    said = _too_steady(moments, whole=not odd.any(), largest=float(x.data.max()))
    if said is None and (ratio := too_alike(x)) is not None:
        kind = "roots, logarithms" if odd.any() else "rounded roots, logarithms"
        said = (
            f"looks transformed ({kind}) or denoised already: between like cells, genes differ by {ratio:.2f} of the "
            "least that counts differ by. Start again from the counts."
        )
    return said


def _of_fractions(x: sparse.csr_matrix, odd: np.ndarray) -> str | None:
    """Transformations that undoing gives away."""
    sums = np.asarray(x.sum(1)).ravel()
    if _equal(sums):
        return (
            f"looks normalised: every cell adds up to {sums.mean():.6g}, as counts per 10,000 or per million do. "
            "Multiply each cell by its library size over that sum to get the counts back."
        )
    if _in_units(x, x.data):
        return (
            "looks normalised: the values of each cell are multiples of its smallest. "
            "Divide each cell by its smallest value to get the counts back."
        )
    if _undone(x, x.data**2, odd):
        return "looks square-root-transformed: the squares are counts or normalised counts. Square the values."
    for whose, raw in (
        ("Freeman and Tukey's", ((x.data + 1.0 - 1.0 / (x.data + 1.0)) / 2.0) ** 2),
        ("Anscombe's", (x.data / 2.0) ** 2 - 3 / 8),
    ):
        if raw.max() > 1.5 and _undone(x, raw, odd):
            return f"looks square-root-transformed: undoing {whose} transform gives counts. Start again from them."
    if x.data.max() > LARGEST_LOG:
        return None
    for base, undo in ((np.e, "numpy.expm1(x)"), (2.0, "2**x - 1"), (10.0, "10**x - 1")):
        if _undone(x, np.power(base, x.data) - 1.0, odd):
            return (
                f"looks log-transformed: {undo} gives counts, or normalised counts. Undo the logarithm and then the "
                "normalisation: divide each cell by its smallest value."
            )
    return None


def _equal(sums: np.ndarray) -> bool:
    """Whether cells have one sum, more surely than counts ever have."""
    sums = sums[sums > 0]
    if len(sums) < 3:
        return False
    mean, spread = float(sums.mean()), float(sums.std())
    return spread < EQUAL * mean and spread < UNLIKE_POISSON * np.sqrt(mean)


def _undone(x: sparse.csr_matrix, raw: np.ndarray, odd: np.ndarray) -> bool:
    """Whether values ``raw`` at the entries of ``x`` are counts, counts times a factor per cell, or of equal sums."""
    near = np.abs(raw - np.round(raw)) < WHOLE * np.maximum(1.0, raw / RATIO)
    looked = odd & (raw < 10 * RATIO)
    if looked.sum() >= ENOUGH and near[looked].mean() > MOSTLY:
        return True
    if odd.mean() < 0.1:
        return False
    sums = np.asarray(sparse.csr_matrix((raw, x.indices, x.indptr), x.shape).sum(1)).ravel()
    return (len(sums) > 2 and sums.std() < 0.01 * sums.mean()) or _in_units(x, raw)


def _in_units(x: sparse.csr_matrix, raw: np.ndarray) -> bool:
    """Whether the values of each cell are whole multiples of its smallest, which is not a simple part of one."""
    ratio, unit, beyond = _ratios(x, raw)
    looked = beyond & (ratio < RATIO)
    if looked.sum() < ENOUGH or looked.sum() < 0.2 * beyond.sum():
        return False
    near = np.abs(ratio - np.round(ratio)) < WHOLE
    parts, unit = np.array(PARTS), unit[np.isfinite(unit)]
    simple = (np.abs(unit[:, None] * parts - np.round(unit[:, None] * parts)) < 1e-4).any(1)
    return bool(near[looked].mean() > MOSTLY and simple.mean() < 0.5)


def _rounded_to_a_sum(x: sparse.csr_matrix) -> bool:
    """Whether whole numbers are counts times a factor per cell, rounded."""
    ratio, unit, beyond = _ratios(x, x.data)
    if (unit >= 2).mean() < 0.8:
        return False
    size = np.repeat(unit, _lengths(x))
    error = 0.5 * (1.0 + ratio) / size
    looked = beyond & (error < 0.2)
    near = np.abs(ratio - np.round(ratio)) <= error
    # by chance a ratio lies so near a whole number with twice that distance
    chance = float((2.0 * error[looked]).clip(0.0, 1.0).mean()) if looked.any() else 1.0
    factor = unit.std() > 0.02 * unit.mean()
    return bool(factor and looked.sum() >= ENOUGH and near[looked].mean() > max(MOSTLY, (1.0 + chance) / 2.0))


def _ratios(x: sparse.csr_matrix, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratio of each entry to the smallest of its cell, these, and whether an entry is not that very one."""
    lengths = _lengths(x)
    starts = x.indptr[:-1][np.diff(x.indptr) > 0]
    unit = np.minimum.reduceat(np.where(raw > 0, raw, np.inf), starts)
    ratio = raw / np.repeat(unit, lengths)
    first = np.zeros(len(raw), dtype=bool)
    at = np.flatnonzero(ratio == 1.0)
    cell = np.repeat(np.arange(len(starts)), lengths)[at]
    first[at[np.unique(cell, return_index=True)[1]]] = True
    return ratio, unit, ~first


def _lengths(x: sparse.csr_matrix) -> np.ndarray:
    lengths = np.diff(x.indptr)
    return lengths[lengths > 0]


def _scaled(moments: GeneMoments) -> str | None:
    """Whether genes have the mean squares that positive parts of z-scores have, all of them alike."""
    squares = moments.second[moments.first > 0] / max(moments.cells, 1)
    if moments.cells < Z_ENOUGH or len(squares) < Z_ENOUGH:
        return None
    if np.mean((squares > Z_SQUARES[0]) & (squares < Z_SQUARES[1])) < Z_GENES:
        return None
    return (
        "looks scaled: all genes have about the mean square of z-scores that were clipped at zero. "
        "The clipped values are lost; start again from the counts."
    )


def _at_most_one(x: sparse.csr_matrix, odd: np.ndarray) -> str | None:
    """Whether values are scaled to their largest: most are fractions, and none is above one."""
    if x.data.max() > 1.0 or odd.mean() < 0.5 or len(x.data) < LEAST_SCALED:
        return None
    return "looks scaled: most values are fractions and none is above 1. Start again from the counts."


def _about_one_sum(sums: np.ndarray) -> float | None:
    """Sum, a power of ten, about which whole numbers of all cells add up, to either side: downsampled counts do not."""
    mean = float(sums.mean())
    target = 10.0 ** round(np.log10(mean))
    near = abs(mean - target) < EQUAL * target and sums.std() < min(EQUAL * target, UNLIKE_POISSON * np.sqrt(target))
    return target if near and len(sums) > 2 and (sums > target).any() and (sums < target).any() else None


def _too_steady(moments: GeneMoments, *, whole: bool, largest: float) -> str | None:
    """Whether genes vary much less, between the cells that show them, than counts do."""
    if moments.depth <= 0 or (whole and largest > LARGEST_LOG):
        return None
    cells = moments.seen
    mean = moments.first / cells.clip(1.0)
    measured = np.flatnonzero((mean >= MEASURED) & (cells >= FEWEST))
    if len(measured) == 0:
        return None
    measured = measured[np.argsort(-mean[measured], kind="stable")][: max(TOP, len(mean) // ONE_IN)]
    mean, cells = mean[measured], cells[measured]
    variance = (moments.second[measured] / cells - mean**2) * cells / (cells - 1.0)
    rate = np.interp(mean, _MEANS, _RATES)
    usual = mean * (1.0 + rate - mean)  # of a Poisson count that is not zero
    # where all cells have one sum, a gene that is much of it varies less by just this
    share = (moments.first[measured] / moments.depth).clip(0.0, 0.99)
    ratio = float(np.median(variance / (usual * (1.0 - share))))
    error = 1.25 * np.sqrt(2.0 / (cells - 1.0).sum())
    if ratio > LEAST_RATIO or ratio > USUAL_RATIO - SURE * error:
        return None
    kind = "rounded logarithms or square roots" if whole else "logarithms or square roots of corrected counts"
    return (
        f"looks transformed ({kind}) or denoised already: among the cells that express them, genes vary by only "
        f"{ratio:.2f} of the minimum for counts. Start again from the counts."
    )
