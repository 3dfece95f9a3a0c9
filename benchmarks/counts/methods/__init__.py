"""The methods compared: one file each, one line each in :data:`METHODS`.

A method's module has ``fit(counts, *, seed, **options)``, which takes training counts (CSR, cells x genes) and returns
a function that gives the expected counts (dense, cells x genes) at the depth of the training counts. An oracle's module
has ``expected(task)`` instead, which is given what no method sees, or ``None`` where there is no such thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """What the benchmark knows of a method before it is imported."""

    module: str
    label: str
    kind: Literal["baseline", "peer", "tuned", "with residual", "ablation", "model", "oracle"]
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Literal["ours", "magic"] = "ours"

    def load(self) -> Callable[..., Any]:
        """Import the method's module and return its ``fit``; an oracle's ``expected``."""
        found = import_module(f"{__name__}.{self.module}")
        return found.expected if self.kind == "oracle" else found.fit


#: Peers that choose on the inner split: module, label, and the settings they choose among.
_TUNED: dict[str, tuple[str, str, dict[str, tuple[Any, ...]]]] = {
    "svd": ("svd", "SVD log", {"rank": (1, 2, 3, 4, 6, 8, 10, 15, 20, 30)}),
    "magic": ("diffusion", "MAGIC", {"neighbours": (3, 5, 10), "steps": (1, 2, 3)}),
    "knn": ("knn_smoothing", "kNN-smoothing", {"neighbours": (3, 7, 15, 31)}),
    "alra": ("alra", "ALRA", {"rank": (None, 5, 10, 20)}),
    "glmpca": ("glmpca", "GLM-PCA", {"rank": (5, 10)}),
    "nmf": ("nmf", "Poisson NMF", {"rank": (2, 5, 10, 20)}),
    "bipca": ("bipca", "BiPCA", {}),
    "dca": ("dca_style", "DCA-style autoencoder", {}),
    "scvi": ("scvi", "scVI, early stopping", {}),
}
_FIXED: dict[str, dict[str, Any]] = {"svd": {"transform": "log"}, "scvi": {"early_stopping": True}}


def _tuned(residual: bool) -> dict[str, Method]:
    """Every peer with settings and a share of the pooled profile chosen, without or with our residual on top."""
    ending, suffix = (", tuned + gamma residual", "-tuned-residual") if residual else (", tuned", "-tuned-mixed")
    return {
        f"{name}{suffix}": Method(
            "tuned",
            f"{label}{ending}",
            "with residual" if residual else "tuned",
            {"peer": module, "grid": grid, "options": _FIXED.get(name, {}), "residual": residual},
        )
        for name, (module, label, grid) in _TUNED.items()
    }


METHODS: dict[str, Method] = {
    "none": Method("none", "no denoising", "baseline"),
    "pooled": Method("pooled", "pooled profile", "baseline"),
    "svd-sqrt": Method("svd", "SVD sqrt, rank 20", "peer", {"transform": "sqrt"}),
    "svd-log": Method("svd", "SVD log, rank 20", "peer", {"transform": "log"}),
    "svd-tuned": Method("svd", "SVD log, rank by held-out molecules", "peer", {"transform": "log", "rank": None}),
    "knn-smoothing": Method("knn_smoothing", "kNN-smoothing", "peer"),
    "alra": Method("alra", "ALRA", "peer"),
    "dca-style": Method("dca_style", "DCA-style autoencoder", "peer"),
    "magic-log": Method("magic", "MAGIC log", "peer", {"transform": "log"}, environment="magic"),
    "magic-sqrt": Method("magic", "MAGIC sqrt", "peer", {"transform": "sqrt"}, environment="magic"),
    "scvi": Method("scvi", "scVI", "peer"),
    **_tuned(residual=False),
    **_tuned(residual=True),
    "svd-residual": Method("svd_residual", "tuned SVD + gamma residual", "ablation"),
    "svd-mixed-residual": Method(
        "svd_residual", "tuned SVD mixed with pooled + gamma residual", "ablation", {"mix": None}
    ),
    "icm": Method("icm", "ICM", "model"),
    "icm-transport": Method("icm", "ICM, transport estimator", "model", {"estimator": "transport"}),
    "icm-no-consistency": Method("icm", "ICM without consistency term", "ablation", {"train": {"consistency": "none"}}),
    "icm-gradient": Method(
        "icm",
        "ICM, consistency term trained by gradients",
        "ablation",
        {"train": {"consistency": "gradient"}},
    ),
    "icm-no-anchor": Method(
        "icm", "ICM without anchor (as published)", "ablation", {"train": {"anchor_weight": 0.0, "num_steps": 10}}
    ),
    "icm-no-residual": Method("icm", "ICM without residual", "ablation", {"model": {"residual": False}}),
    "icm-no-svd-start": Method("icm", "ICM without SVD start", "ablation", {"model": {"start": "pooled"}}),
    "truth": Method("truth", "the truth itself: what there is to gain", "oracle"),
}
