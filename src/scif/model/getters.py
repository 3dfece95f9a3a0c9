"""Getting denoised counts out of a trained model: rows and genes as asked for, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS, settings
from scvi.data import AnnDataManager
from tqdm.auto import tqdm

from scif.counts.consistency import CountConsistency
from scif.counts.data.dataset import CountDataset
from scif.counts.denoise import Denoising, cell_scale_blocks, cells_at_a_time, denoised_blocks
from scif.model.arguments import (
    check_batch_size,
    check_getter,
    check_out,
    check_seed,
    names_of,
    result_type,
    row_numbers,
)
from scif.model.checks import check_setup, named
from scif.model.fields import gene_order
from scif.model.fingerprint import check_unchanged
from scif.model.lazy import load_tables
from scif.model.memory import tell_if_large
from scif.model.modality import modality_with
from scif.model.registered import registered_counts
from scif.model.uncertainty import UncertaintyMixin, check_uncertainty
from scif.parallel import cores

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["DenoiseMixin"]


class DenoiseMixin(UncertaintyMixin):
    """Results of a trained model of counts."""

    module: CountConsistency
    gene_names_: list[str]
    factor_unit_: float | None
    #: AnnData that were set up and still exist, by the name that scvi-tools gave them.
    _owners: ClassVar[WeakValueDictionary[str, AnnData]] = WeakValueDictionary()

    @cores()
    @torch.inference_mode()
    def get_denoised(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        gene_list: Sequence[str] | None = None,
        *,
        estimator: Literal["mean", "transport", "sample"] = "mean",
        library_size: Literal["observed", "latent"] | float | None = None,
        transform_batch: str | int | Sequence[str | int] | None = None,
        n_samples: int = 1,
        return_mean: bool = True,
        return_std: bool = False,
        quantiles: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        return_numpy: bool = True,
        out: Any = None,
        dtype: DTypeLike = np.float32,
        silent: bool = True,
    ) -> Any:
        """Expected counts of cells, on the scale and in the order of the registered counts.

        You can write ``adata.layers["denoised"] = model.get_denoised()``: rows and columns have the order of ``adata``,
        and each cell sums to its library size. The result is deterministic unless ``estimator="sample"``.

        Parameters
        ----------
        adata
            Cells to denoise; they may be new. By default the cells that the model was set up with. Genes are matched by
            name, in any order.
        indices
            Cells to return, in this order; integers or a boolean mask.
        gene_list
            Genes to return, in this order.
        estimator
            ``"mean"``: posterior mean, lowest error. ``"transport"``: keeps the distribution over cells, such as
            variances. It keeps only the distribution of gene-specific variation for genes without :attr:`credibility`,
            with fewer than 40 cells, or if cells differ by no more than noise. ``"sample"``: draws from the posterior
            of the expected counts, over latent factors, loadings and gene-specific variation. The draw of a cell
            depends only on ``seed`` and its row.
        library_size
            Sum of each cell over all genes. None or ``"latent"`` (the name in scvi-tools): the library size in the
            model, which is the cell's total count, or follows from its size factor if ``size_factor_key`` was
            registered. ``"observed"``: always the cell's total count. A number: the same sum for every cell.
        transform_batch
            Express all cells as if they were from this batch; by default each cell keeps its own batch. Batch effects
            are corrected only if this is given. For a list of names, the result is the mean over these batches.
            ``"average"`` uses the average of all batch offsets, unless a batch has that name.
        n_samples
            Draws per cell with ``estimator="sample"``.
        return_mean
            Average the draws. If False, the result has shape ``(n_samples, cells, genes)``.
        return_std
            Also return posterior standard deviations of the expected counts.
        quantiles
            Posterior quantiles to return instead of the estimate, such as ``(0.05, 0.95)``.
        seed
            Seed of the random draws.
        batch_size
            Number of cells processed at a time. The default fills a million entries; from disk and on a GPU it is
            ``scvi.settings.batch_size`` (at least 256).
        return_numpy
            Return an array. If False, return a data frame with names.
        out
            Array of the result's shape to write into: a memory map, zarr or h5py array. Rows are written as they are
            computed, so memory does not grow with the number of cells. The array is also returned.
        dtype
            Data type of the result.
        silent
            Hide the progress bar.

        Returns
        -------
        Expected counts, ``(cells, genes)`` or ``(n_samples, cells, genes)``. With ``return_std``, expected counts and
        standard deviations, ``(2, cells, genes)``. With ``quantiles``, the quantiles, ``(quantiles, cells, genes)``.

        Raises
        ------
        ValueError
            If genes are missing or unknown, if indices are out of range, or if an argument is invalid.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=1, enable_progress_bar=False)
        >>> model.get_denoised(indices=[5, 3], gene_list=["gene_2", "gene_0"]).shape
        (2, 2)
        """
        check_getter(estimator, library_size, n_samples, out, return_numpy)
        check_uncertainty(estimator, return_std, quantiles, return_numpy)
        check_batch_size(batch_size)
        check_seed(seed)
        kind = result_type(dtype)
        data, dataset, rows = self._cells(adata, indices)
        columns, names = self._columns(gene_list, data.var_names)
        target = self._batch_codes(transform_batch)
        wanted = None if quantiles is None else tuple(map(float, quantiles))
        asked = Denoising(estimator, target, library_size, n_samples, return_mean, seed, return_std, wanted)
        shape = asked.shape(len(rows), len(columns))
        if len(shape) > 2 and not return_numpy:
            msg = "return_mean and return_numpy are both False: several draws are no data frame; leave one of them out."
            raise ValueError(msg)
        if out is None:
            tell_if_large(shape, kind)
            out = np.empty(shape, dtype=kind)
        else:
            check_out(out, shape, dataset.data)
        module = self.module.eval()
        size = batch_size or cells_at_a_time(dataset, module.device, at_least=settings.batch_size)
        blocks = denoised_blocks(module, dataset, rows, asked, genes=columns, batch_size=size)
        start, total = 0, -(-len(rows) // size)
        for block in tqdm(blocks, desc="Denoising", unit="batch", total=total, disable=silent or total < 2):
            end = start + block.shape[-2]
            out[..., start:end, :] = block
            start = end
        if return_numpy:
            return out
        return pd.DataFrame(out, index=data.obs_names[rows], columns=names)

    @cores()
    @torch.inference_mode()
    def get_cell_scale(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int | None = None,
    ) -> pd.Series:
        """How closely each cell follows the shared expectation, relative to other cells.

        The scale multiplies the gamma shapes of gene-specific variation; an average cell has one. A cell far below one
        is unlike the rest. It may be stressed, a doublet, of a type that is rare in the data, or measured with more
        noise than molecule sampling. Its own counts then get more weight.

        Parameters
        ----------
        adata
            Cells; they may be new. By default the cells that the model was set up with.
        indices
            Cells to return, in this order; integers or a boolean mask.
        batch_size
            Number of cells processed at a time. The default fills a million entries; from disk and on a GPU it is
            ``scvi.settings.batch_size`` (at least 256).

        Returns
        -------
        Scales, indexed by cell name. All are one if the model was trained on fewer than 20 cells.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=1, enable_progress_bar=False)
        >>> adata.obs["cell_scale"] = model.get_cell_scale()
        """
        check_batch_size(batch_size)
        data, dataset, rows = self._cells(adata, indices)
        module = self.module.eval()
        size = batch_size or cells_at_a_time(dataset, module.device, at_least=settings.batch_size)
        scales = cell_scale_blocks(module, dataset, rows, batch_size=size)
        every = np.concatenate([np.empty(0, dtype=np.float32), *scales])
        return pd.Series(every, index=data.obs_names[rows], name="cell_scale")

    def _cells(
        self, adata: AnnData | None, indices: Sequence[int] | np.ndarray | None
    ) -> tuple[AnnData, CountDataset, np.ndarray]:
        """Registered data, its counts in the order of the model's genes, and the rows asked for."""
        self._check_if_trained(warn=False)  # type: ignore[attr-defined]
        data = self._data_for(adata)
        order = gene_order(self.gene_names_, data.var_names)
        dataset = registered_counts(self._manager_for(data), genes=order, factor_unit=self.factor_unit_)
        return data, dataset, row_numbers(indices, len(dataset))

    def _data_for(self, adata: AnnData | None) -> AnnData:
        """Registered data; a view is copied, and stays a view for the caller."""
        if adata is None:
            if self.adata is None:  # type: ignore[attr-defined]
                msg = "this model was loaded without data; pass adata."
                raise ValueError(msg)
            adata = self.adata  # type: ignore[attr-defined]
        adata = modality_with(adata, self.gene_names_)
        if adata is self.adata:  # type: ignore[attr-defined]
            check_unchanged(self.adata_manager)  # type: ignore[attr-defined]
            return adata
        arguments = self.registry_["setup_args"]  # type: ignore[attr-defined]
        load_tables(adata)
        check_setup(adata, **arguments)
        gene_order(self.gene_names_, adata.var_names)
        key = arguments.get("batch_key")
        if key is not None:
            unseen = sorted(set(adata.obs[key].astype(str)) - set(self._known_batches()))
            if unseen:
                known = named(self._known_batches())
                msg = f"adata.obs[{key!r}] has batches the model has not seen: {named(unseen)}; it knows {known}."
                raise ValueError(msg)
        if adata.is_view:
            adata = adata.copy()
        return self._validate_anndata(adata) if self.adata is None else adata  # type: ignore[attr-defined]

    def _manager_for(self, adata: AnnData) -> AnnDataManager:
        """Manager of registered data, or one of other data as they are now, which nothing keeps."""
        known: AnnDataManager = self.adata_manager  # type: ignore[attr-defined]
        return known if adata is self.adata else known.transfer_fields(adata)  # type: ignore[attr-defined]

    def _batches(self) -> list[Any]:
        """Names of all registered batches, those without cells included."""
        state = self.registry_["field_registries"][REGISTRY_KEYS.BATCH_KEY]["state_registry"]  # type: ignore[attr-defined]
        return list(state["categorical_mapping"])

    def _known_batches(self) -> list[str]:
        """Names of the batches that had cells to train on."""
        present = self.module.network.batch_present.tolist()
        return [str(name) for name, has in zip(self._batches(), present, strict=True) if has]

    def _batch_codes(self, batch: str | int | Sequence[str | int] | None) -> tuple[int, ...] | None:
        """Codes of the batches over which results are averaged; the number of batches stands for the average one."""
        if batch is None:
            return None
        names, known = [str(b) for b in self._batches()], self._known_batches()
        asked = list(batch) if isinstance(batch, Iterable) and not isinstance(batch, str | bytes) else [batch]
        if asked == ["average"] and "average" not in names:
            return (len(names),)
        unknown = [name for name in map(str, asked) if name not in known]
        if unknown or not asked:
            empty = [name for name in unknown if name in names]
            why = f" No training cell is in {named(empty)}." if empty else ""
            msg = (
                f"transform_batch={batch!r} is not a batch of the model, which knows {named(known)}.{why} "
                "Pass one of these names, a list of them, or 'average'."
            )
            raise ValueError(msg)
        return tuple(names.index(str(name)) for name in asked)

    def _columns(self, gene_list: Sequence[str] | None, data_genes: Any) -> tuple[np.ndarray, list[str]]:
        """Columns of the model's output for each column of the result."""
        place = {gene: i for i, gene in enumerate(self.gene_names_)}
        names = names_of(data_genes if gene_list is None else gene_list, "gene_list")
        unknown = [gene for gene in names if gene not in place]
        if unknown:
            msg = f"gene_list has genes the model does not know: {named(unknown)}."
            raise ValueError(msg)
        return np.array([place[gene] for gene in names], dtype=np.int64), names
