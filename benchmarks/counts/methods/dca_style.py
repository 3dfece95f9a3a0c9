"""A DCA-style autoencoder: what Eraslan et al. (Nature Communications 2019) describe, in a few lines of torch.

DCA itself needs TensorFlow 2.4 at most and does not install on a supported Python. Kept from the paper: input scaled
log-normalised counts, hidden layers 64-32-64 with batch normalisation, a negative binomial output whose mean is
multiplied by the size factor and whose dispersion depends on the cell, RMSprop at 1e-3 with batches of 32, the rate cut
tenfold after 10 epochs without a better validation loss, training stopped after 15, gradients clipped at 5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
from benchmarks.counts.methods._scale import library_size, to_library
from torch import Tensor, nn

__all__ = ["fit"]


class _Autoencoder(nn.Module):
    def __init__(self, genes: int, widths: tuple[int, ...] = (64, 32, 64)) -> None:
        super().__init__()
        sizes = (genes, *widths)
        self.hidden = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b, affine=False), nn.ReLU())
                for a, b in zip(sizes, widths, strict=False)
            )
        )
        self.mean = nn.Linear(widths[-1], genes)
        self.shape = nn.Linear(widths[-1], genes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x)
        return self.mean(hidden).exp().clamp(1e-5, 1e6), nn.functional.softplus(self.shape(hidden)).clamp(1e-4, 1e4)


def _loss(counts: Tensor, mean: Tensor, shape: Tensor) -> Tensor:
    """Negative log-likelihood of the negative binomial, mean over entries."""
    log_sum = (shape + mean).log()
    gammas = torch.lgamma(counts + shape) - torch.lgamma(shape) - torch.lgamma(counts + 1.0)
    return -(gammas + shape * (shape.log() - log_sum) + counts * (mean.log() - log_sum)).mean()


def fit(
    counts: sp.csr_matrix, *, seed: int, epochs: int = 300, batch: int = 32, patience: int = 15
) -> Callable[[], np.ndarray]:
    """Train with early stopping on a tenth of the cells; the weights of the best epoch are kept."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    library = library_size(counts)
    size_factor = library / np.median(library)
    dense = counts.toarray().astype(np.float32)
    logged = np.log1p(dense / size_factor)
    spread = logged.std(axis=0)
    inputs = torch.from_numpy(((logged - logged.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype(np.float32))
    targets, factors = torch.from_numpy(dense), torch.from_numpy(size_factor.astype(np.float32))
    order = torch.from_numpy(rng.permutation(dense.shape[0]))
    validation, training = order[: dense.shape[0] // 10], order[dense.shape[0] // 10 :]

    net = _Autoencoder(dense.shape[1])
    optimiser = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=10)

    def loss_on(rows: Tensor) -> Tensor:
        mean, shape = net(inputs[rows])
        return _loss(targets[rows], mean * factors[rows], shape)

    best, best_state, waited = float("inf"), net.state_dict(), 0
    for _ in range(epochs):
        net.train()
        for rows in training[torch.from_numpy(rng.permutation(len(training)))].split(batch):
            if len(rows) > 1:  # batch normalisation has no variance of one cell
                optimiser.zero_grad()
                loss_on(rows).backward()
                nn.utils.clip_grad_value_(net.parameters(), 5.0)
                optimiser.step()
        net.eval()
        with torch.no_grad():
            loss = float(loss_on(validation))
        plateau.step(loss)
        waited += 1
        if loss < best:
            best, waited = loss, 0
            best_state = {key: value.clone() for key, value in net.state_dict().items()}
        if waited >= patience:
            break
    net.load_state_dict(best_state)

    @torch.no_grad()
    def denoise() -> np.ndarray:
        net.eval()
        return to_library(np.concatenate([net(rows)[0].numpy() for rows in inputs.split(512)]), library)

    return denoise
