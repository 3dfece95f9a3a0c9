"""Figures of the page on the count model: ``python docs/figures/method.py`` writes them to ``docs/_static``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

from scif.core.schedule import Karras, Uniform
from scif.core.theory import linear_gaussian_survival

mpl.use("Agg")
OUT = Path(__file__).parents[1] / "_static"


def model_figure() -> None:
    """Draw the joint model: from latent factors to counts, with the stage that fits each part."""
    figure, axes = plt.subplots(figsize=(9.0, 3.1))
    axes.set(xlim=(0, 10), ylim=(0, 3.6))
    axes.axis("off")
    nodes = [
        (0.9, "$z_n$", "latent factors", r"$\sum_k \pi_k\,N(m_k, S_k)$", "latent_prior"),
        (3.1, r"$\rho_n$", "composition", r"softmax$(b + o_{b(n)} + W z_n)$", "network, loadings"),
        (5.3, r"$\mu_{ng}$", "expectation", r"$L_n\,\rho_{ng}$", "depth_trend"),
        (7.2, r"$x^0_{ng}$", "expected count", r"Gamma$(\mu_{ng},\ s_n \alpha_g)$", "dispersion, cell_scale"),
        (9.2, r"$x^1_{ng}$", "count", r"Poisson$(x^0_{ng})$", "given"),
    ]
    for x, symbol, name, law, stage in nodes:
        observed = stage == "given"
        axes.add_patch(plt.Circle((x, 2.3), 0.42, fc="#d9d9d9" if observed else "white", ec="black", lw=1.2))
        axes.text(x, 2.3, symbol, ha="center", va="center", fontsize=13)
        axes.text(x, 3.05, name, ha="center", fontsize=9)
        axes.text(x, 1.5, law, ha="center", fontsize=9)
        axes.text(x, 1.0, stage, ha="center", fontsize=8, color="#1f77b4", family="monospace")
    for (a, *_), (b, *_) in zip(nodes, nodes[1:], strict=False):
        axes.annotate("", (b - 0.47, 2.3), (a + 0.47, 2.3), arrowprops={"arrowstyle": "->", "lw": 1.2})
    axes.text(
        0.2, 0.35, "blue: the stage of the fit that gives the parameters; grey: observed", fontsize=8, color="#555"
    )
    figure.savefig(OUT / "method_model.png", dpi=130, bbox_inches="tight")


def survival_figure() -> None:
    """Draw how much of the variance survives inverse consistency on grids of time steps, in closed form."""
    snr = torch.logspace(-1.5, 1.5, 61, dtype=torch.float64)
    grids = {
        "1 step": Uniform().grid(1),
        "10 steps, uniform": Uniform().grid(10),
        "10 steps, as published (Karras)": Karras().grid(10),
        "100 steps, uniform": Uniform().grid(100),
    }
    figure, axes = plt.subplots(figsize=(7.2, 3.4))
    for name, grid in grids.items():
        axes.plot(snr, linear_gaussian_survival(snr, grid.double(), max_iterations=2_000), label=name)
    axes.plot(snr, snr / (snr + 1), "k:", lw=1, label="least squares, $S/(S+1)$")
    axes.set(xscale="log", xlabel="signal-to-noise ratio $S$", ylim=(-0.02, 1.02))
    axes.set_ylabel("share of the variance that survives")
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.savefig(OUT / "method_survival.png", dpi=130, bbox_inches="tight")


if __name__ == "__main__":
    model_figure()
    survival_figure()
