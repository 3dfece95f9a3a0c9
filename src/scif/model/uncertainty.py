"""Uncertainty of the estimates: standard deviations, quantiles, draws of expected counts and of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from scif.counts.posterior.draws import COUNTS, CellNumbers, draw_counts, draw_expected
from scif.counts.uncertainty import factors_of, loadings_of, spread_of
from scif.model.memory import tell_if_large
from scif.parallel import cores, spread

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.counts.data.dataset import CountBatch
    from scif.counts.posterior.consistency import CountConsistency
    from scif.model.icm import ICM

__all__ = ["Uncertainty", "UncertaintyMixin", "check_uncertainty"]


class Uncertainty:
    """What is uncertain of the estimates of a trained module, for one call of a getter.

    Parameters
    ----------
    module
        The trained module.
    seed
        Seed of draws.
    """

    def __init__(self, module: CountConsistency, *, seed: int = 0) -> None:
        self._module, self._seed, self._loadings = module, seed, loadings_of(module)

    def moments(self, cell: CountBatch, mean: Tensor, quantiles: Sequence[float] | None) -> Tensor:
        """Estimates and standard deviations, or quantiles, stacked: ``(2 or quantiles, cells, genes)``."""
        around = spread_of(self._module, cell, mean, factors_of(self._module, cell, self._loadings))
        if quantiles is None:
            return torch.stack([mean, around.sd()])
        return torch.stack([around.quantile(share) for share in quantiles])

    def draws(
        self, cell: CountBatch, mean: Tensor, rows: np.ndarray, *, n_samples: int, pick: Tensor, average: bool
    ) -> Tensor:
        """Draws of the expected counts of some genes: ``(n_samples, cells, picked)``, or their average."""
        factors = factors_of(self._module, cell, self._loadings)
        around, library = spread_of(self._module, cell, mean, factors), mean.sum(1)
        drawn = draw_expected(around, factors, cells=rows, library=library, n_samples=n_samples, seed=self._seed)
        if not average:
            return torch.stack([draw[:, pick] for draw in drawn])
        return sum((draw[:, pick] for draw in drawn), mean.new_zeros(len(mean), len(pick))) / n_samples

    def counts(self, cell: CountBatch, mean: Tensor, rows: np.ndarray, *, n_samples: int, pick: Tensor) -> Tensor:
        """Draws of the counts of some genes, ``(n_samples, cells, picked)``."""
        factors, numbers = factors_of(self._module, cell, self._loadings), CellNumbers(rows, seed=self._seed, purpose=COUNTS)
        around, library = spread_of(self._module, cell, mean, factors), mean.sum(1)
        drawn = draw_expected(around, factors, cells=rows, library=library, n_samples=n_samples, seed=self._seed)
        technical = self._module.technical
        return torch.stack([draw_counts(draw, numbers, inverse_dispersion=technical)[:, pick] for draw in drawn])


class UncertaintyMixin:
    """Draws from the posterior predictive distribution."""

    @cores()
    @torch.inference_mode()
    def posterior_predictive_sample(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        gene_list: Sequence[str] | None = None,
        *,
        n_samples: int = 1,
        seed: int = 0,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Counts that the model expects of the same cells, measured again at the same depth.

        Expected counts are drawn from their posterior, and counts from the noise channel given these.

        Parameters
        ----------
        adata, indices, gene_list, batch_size
            As in :meth:`get_denoised`.
        n_samples
            Draws per cell.
        seed
            Of the draws. A draw of a cell depends on the seed and the cell's row alone.

        Returns
        -------
        Counts ``(n_samples, cells, genes)``, int32.

        Raises
        ------
        ValueError
            If ``n_samples`` is below one, or a cell or gene is unknown.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=1, enable_progress_bar=False)
        >>> model.posterior_predictive_sample(indices=[5, 3], n_samples=4).shape
        (4, 2, 40)
        """
        from scif.model.getters import _at_a_time, _estimate, _library

        if n_samples < 1:
            msg = f"n_samples is {n_samples}; it must be at least 1."
            raise ValueError(msg)
        model = cast("ICM", self)
        data, dataset, rows = model._cells(adata, indices)
        columns, _ = model._columns(gene_list, data.var_names)
        out_shape = (n_samples, len(rows), len(columns))
        tell_if_large(out_shape, np.dtype(np.int32))
        out, module = np.empty(out_shape, dtype=np.int32), model.module.eval()
        size = batch_size or _at_a_time(dataset, module)
        pick, uncertain = torch.from_numpy(columns).to(module.device), Uncertainty(module, seed=seed)

        def drawn(given: tuple[CountBatch, np.ndarray]) -> np.ndarray:
            batch = given[0].to(module.device)
            mean = _estimate(module, batch, None, _library(batch, "observed"), "mean")
            found = uncertain.counts(batch, mean, given[1], n_samples=n_samples, pick=pick)
            counts: np.ndarray = found.cpu().numpy().astype(np.int32)
            return counts

        start = 0
        for part in spread(drawn, numbered_rows(dataset, rows, size), on=module.device):
            out[:, start : start + part.shape[1]] = part
            start += part.shape[1]
        return out


def numbered_rows(dataset: Any, rows: np.ndarray, size: int) -> Any:
    """Minibatches of some cells, with the rows of each."""
    chunks = (rows[start : start + size] for start in range(0, len(rows), size))
    return zip(dataset.batches(rows, batch_size=size), chunks, strict=True)


def check_uncertainty(
    estimator: str, return_std: bool, quantiles: Sequence[float] | None, return_numpy: bool
) -> None:
    """Raise ``ValueError`` if standard deviations or quantiles are asked for in a way that has no meaning."""
    if not return_std and quantiles is None:
        return
    name = "return_std" if return_std else "quantiles"
    if return_std and quantiles is not None:
        msg = "return_std and quantiles exclude each other; call once for each."
        raise ValueError(msg)
    if estimator != "mean":
        msg = f"{name} is given with estimator={estimator!r}; the posterior belongs to estimator='mean'."
        raise ValueError(msg)
    if not return_numpy:
        msg = f"{name} and return_numpy=False exclude each other: the result is no one data frame."
        raise ValueError(msg)
    if quantiles is not None and (len(quantiles) == 0 or not all(0.0 < share < 1.0 for share in quantiles)):
        msg = f"quantiles is {quantiles!r}; pass probabilities strictly between 0 and 1, such as (0.05, 0.95)."
        raise ValueError(msg)
