"""Calls that users of scvi-tools know, with their signature and scale, or with a word on what to call instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import pandas as pd
import rich.pretty  # noqa: F401  (scvi-tools uses it without importing it)

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model.icm import ICM

__all__ = ["FamiliarMixin"]

#: What to call instead of what the model does not have.
INSTEAD = {
    "get_elbo": "ICM does not train an evidence lower bound: model.history['validation_loss'] has the loss of held-out "
    "molecules, and scif.metrics.molecular_cross_validation compares methods by it.",
    "get_marginal_ll": (
        "ICM has no marginal likelihood: scif.metrics.molecular_cross_validation scores held-out molecules."
    ),
    "get_reconstruction_error": "model.history['validation_loss'] has the loss of held-out molecules.",
    "get_latent_library_size": "Library sizes are observed, not inferred: adata.X.sum(1), or size_factor_key.",
    "get_likelihood_parameters": "model.get_denoised(library_size='observed') has the means, and "
    "model.inverse_dispersion the technical dispersion of each gene.",
    "differential_expression": "Denoised cells are not independent samples: on one cell type halved at random they "
    "call 9.8% of the genes at p < 0.05, and counts call 2.3%. Test the counts, with scanpy.tl.rank_genes_groups or by "
    "pseudobulk (PyDESeq2).",
    "differential_abundance": "Denoising does not compare groups: count cells per sample and cluster, for example with "
    "pertpy.tools.Milo.",
    "update_setup_method_args": "Call ICM.setup_anndata again, and make a new model.",
    "setup_annbatch": "Counts on disk need no other format: ICM.setup_anndata(anndata.experimental.read_lazy(path)).",
    "minify_adata": "Denoising needs the counts, which a minified AnnData lacks; keep adata as it is.",
}


class FamiliarMixin:
    """The calls of scvi-tools' models of RNA."""

    def get_normalized_expression(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        transform_batch: Any = None,
        gene_list: Sequence[str] | None = None,
        library_size: Any = 1,
        n_samples: int = 1,
        n_samples_overall: int | None = None,
        weights: str | None = None,
        batch_size: int | None = None,
        return_mean: bool = True,
        return_numpy: bool | None = None,
        silent: bool = True,
        **others: Any,
    ) -> Any:
        """Denoised expression with the signature and scale of scvi-tools: each cell sums to one over all genes.

        This method calls :meth:`get_denoised` with ``library_size=1``. With one sample it is deterministic, columns
        have the order of ``gene_list``, and unknown genes raise an error.

        Parameters
        ----------
        adata, indices, transform_batch, gene_list, batch_size, silent
            As in :meth:`get_denoised`.
        library_size
            Sum over all genes of a cell, or ``"latent"`` or ``"observed"`` as in :meth:`get_denoised`.
        n_samples
            One gives the posterior mean. More give draws of ``get_denoised(estimator="sample")`` with seed 0.
        n_samples_overall, weights, **others
            Not supported; any value other than scvi-tools' default raises an error.
        return_mean
            Average the draws.
        return_numpy
            Return an array. By default a data frame is returned, unless there are several draws.

        Raises
        ------
        ValueError
            If an argument is invalid or not supported.
        """
        odd = {"n_samples_overall": n_samples_overall, **others}
        odd["weights"] = None if weights == "uniform" else weights
        given = [name for name, value in odd.items() if value is not None]
        if given:
            mend = " for draws per cell pass n_samples." if given == ["n_samples_overall"] else " leave it out."
            msg = f"{given[0]}={odd[given[0]]!r} is an argument of scvi-tools that ICM does not support;{mend}"
            raise ValueError(msg)
        stacked = n_samples > 1 and not return_mean
        if stacked and return_numpy is False:
            msg = (
                "return_numpy is False, but several draws do not fit in a data frame; pass return_mean=True or omit "
                "return_numpy."
            )
            raise ValueError(msg)
        return cast("ICM", self).get_denoised(
            adata,
            indices,
            gene_list,
            estimator="sample" if n_samples > 1 else "mean",
            library_size=library_size,
            transform_batch=transform_batch,
            n_samples=n_samples,
            return_mean=return_mean,
            batch_size=batch_size,
            return_numpy=stacked if return_numpy is None else return_numpy,
            silent=silent,
        )

    def view_registry(self, hide_state_registries: bool = False) -> None:
        """Print what was registered, like ``view_anndata_setup()``. (The version of scvi-tools fails.)

        Parameters
        ----------
        hide_state_registries
            Hide details.
        """
        cast("ICM", self).view_anndata_setup(hide_state_registries=hide_state_registries)

    def get_elbo(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: raises an error that names scores to use instead."""
        raise NotImplementedError(_instead("get_elbo"))

    def differential_abundance(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: raises an error that names tools for differential abundance."""
        raise NotImplementedError(_instead("differential_abundance"))

    @classmethod
    def setup_annbatch(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: raises an error that explains how to set up counts on disk."""
        raise NotImplementedError(_instead("setup_annbatch"))

    def update_setup_method_args(self, setup_method_args: dict[str, Any]) -> NoReturn:
        """Not available: raises an error that explains how to set up again; ``setup_method_args`` is ignored."""
        raise NotImplementedError(_instead("update_setup_method_args"))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Name what to call for the other calls of scvi-tools' models."""
            if name in INSTEAD:
                raise AttributeError(_instead(name))
            return object.__getattribute__(self, name)  # raises what was raised

    def get_latent_representation(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        give_cov: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """Posterior mean of the latent factors of cells, for neighbours, clusters and embeddings.

        Log expression is a constant per cell plus a constant per gene plus the factors times :meth:`get_loadings`.
        Batch effects that the model explains by the batch are not part of the factors. Leiden clusters of the factors
        agree best with labels at resolutions of 0.1 to 0.3 (``benchmarks/downstream``); resolution 1 splits them too
        finely.

        Parameters
        ----------
        adata
            Cells; they may be new. By default the cells that the model was set up with.
        indices
            Cells to return, in this order; integers or a boolean mask.
        give_cov
            Also return the posterior covariance.
        batch_size
            Number of cells processed at a time.

        Returns
        -------
        Factors ``(cells, factors)``. With ``give_cov`` also their covariances ``(cells, factors, factors)``.

        Raises
        ------
        ValueError
            If ``give_cov`` is True but the model found no variation beyond noise or was trained on fewer than 40 cells.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata, n_latent=3)
        >>> model.train(max_epochs=2, enable_progress_bar=False)
        >>> adata.obsm["X_scif"] = model.get_latent_representation()
        >>> len(adata.obsm["X_scif"])
        60
        """
        from scif.model.factors import factors

        return factors(cast("ICM", self), adata, indices, give_cov=give_cov, batch_size=batch_size)

    def get_loadings(self) -> pd.DataFrame:
        """Loadings of the genes on the latent factors, genes x factors, as log expression per unit of factor.

        The order and sign of the factors are arbitrary. They are the same as in :meth:`get_latent_representation`.
        """
        from scif.model.factors import loadings

        model = cast("ICM", self)
        values = loadings(model)
        columns = [f"factor_{i}" for i in range(values.shape[1])]
        return pd.DataFrame(values, index=pd.Index(model.gene_names_), columns=columns)


def _instead(name: str) -> str:
    return f"ICM has no {name}. {INSTEAD[name]}"
