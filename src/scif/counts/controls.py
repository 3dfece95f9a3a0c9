"""Spike-ins and controls: kept out of what cells share, and given back as counted.

A spike-in is added in the same amount to every cell, so its share of the library falls as a cell's RNA grows. A model
of compositions would take that for a programme of genes, or for a technical trend, and give all cells one share.
Controls are therefore no genes of the model: library sizes are sums of the other genes, and controls keep their counts,
whose sums are unbiased.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse, special
from torch import Tensor

__all__ = ["ControlColumns", "is_control_name", "without_controls"]

#: Names of the spike-ins of the External RNA Controls Consortium (the genes ERCC1 to ERCC8 are none), of Lexogen, of
#: sequencing by synthesis, and of imaging panels' negative probes and blank codewords.
_NAMES = re.compile(
    r"^(ERCC[-_.]\d{5}|SIRV[-_.]?\d+.*|gSpikein[-_].*|Spike[-_ ]?in.*|Neg(Control)?(Probe|Codeword|Prb)[-_ ]?\w*"
    r"|BLANK[-_ ]\d+|SystemControl\d*|UnassignedCodeword[-_]\d+)$",
    re.IGNORECASE,
)


def is_control_name(names: Iterable[str]) -> np.ndarray:
    """Whether names are those of spike-ins or control probes, ``(genes,)``.

    Examples
    --------
    >>> is_control_name(["ERCC-00002", "ERCC1", "NegControlProbe_00042", "BLANK_0001", "ACTB"]).tolist()
    [True, False, True, True, False]
    """
    return np.array([bool(_NAMES.match(str(name))) for name in names], dtype=bool)


def without_controls(x: sparse.csr_matrix, controls: np.ndarray | None) -> sparse.csr_matrix:
    """Counts ``(cells, genes)`` in which some columns are zero."""
    if controls is None or len(controls) == 0:
        return x
    keep = np.ones(x.shape[1], dtype=bool)
    keep[controls] = False
    kept = keep[x.indices]
    starts = np.concatenate([[0], np.cumsum(kept)])[x.indptr]
    return sparse.csr_matrix((x.data[kept], x.indices[kept], starts), shape=x.shape)


@dataclass(frozen=True)
class ControlColumns:
    """Controls among the genes that are asked for.

    Attributes
    ----------
    place
        Columns of the result, ``(n,)``.
    which
        Numbers of the controls there, ``(n,)``.
    """

    place: Tensor
    which: Tensor

    @classmethod
    def among(cls, genes: np.ndarray, controls: np.ndarray | None, device: torch.device) -> ControlColumns | None:
        """Controls among ``genes``, numbers of the model's genes; None if there are none."""
        if controls is None or not np.isin(genes, controls).any():
            return None
        place = np.flatnonzero(np.isin(genes, controls))
        order = np.argsort(controls)
        which = order[np.searchsorted(controls[order], genes[place])]
        return cls(torch.from_numpy(place).to(device), torch.from_numpy(which).to(device))

    def into(
        self,
        value: Tensor,
        counts: Tensor,
        factor: Tensor,
        *,
        with_sd: bool = False,
        quantiles: tuple[float, ...] | None = None,
    ) -> Tensor:
        """Results ``(..., cells, genes asked for)`` with controls as counted.

        Parameters
        ----------
        value
            Results of the model.
        counts
            Of all controls, ``(cells, controls)``.
        factor
            Scale of the results over that of the counts, ``(cells,)``.
        with_sd
            Whether the second of the results is the standard deviation, here that of a Poisson mean.
        quantiles
            Probabilities of which the results are quantiles, here those of a Poisson mean.
        """
        own = counts[:, self.which].to(value)
        if quantiles is not None:
            shape = own.cpu().double().numpy()
            at = [np.where(shape > 0, special.gammaincinv(shape.clip(1e-9), p), 0.0) for p in quantiles]
            own = torch.from_numpy(np.stack(at)).to(value)
        elif with_sd:
            own = torch.stack([own, own.sqrt()])
        value = value.clone()
        value[..., self.place] = own * factor[:, None].to(value)
        return value
