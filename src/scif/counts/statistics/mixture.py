"""Mixture of normals over latent factors that are measured with noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.posterior.latent import LatentPosterior
from scif.counts.statistics.clusters import k_means

__all__ = ["BLOCK", "CELLS", "Mixture", "similar_cells"]

#: Components of the mixture, where there are enough cells.
COMPONENTS = 16
#: Cells of an average component or group at the least, and for each direction of the factors.
CELLS = 20
#: Largest stretch of a direction, for directions whose signal is all but lost.
MAX_STRETCH = 2.0
#: Cells at a time, few enough that what is known of them stays in the processor's cache.
BLOCK = 256


@dataclass(frozen=True)
class Mixture:
    """Normals with weights ``(c,)``, centres ``(c, k)`` and covariances ``(c, k, k)``."""

    weights: Tensor
    centre: Tensor
    covariance: Tensor

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the whole."""
        mean = self.weights @ self.centre
        apart = self.centre - mean
        spread = torch.einsum("c,cij->ij", self.weights, self.covariance)
        return mean, spread + (apart * self.weights[:, None]).T @ apart

    def standard(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, symmetric square root of the covariance, and its inverse: ``(z - mean) @ inverse`` is standardised."""
        mean, covariance = self.moments()
        root, back = _powers(covariance + 1e-4 * torch.eye(len(covariance), dtype=covariance.dtype))
        return mean, root, back

    @classmethod
    def clusters(cls, z: Tensor, *, most: int = COMPONENTS) -> tuple[Mixture, Tensor]:
        """Groups of similar factors ``(n, k)``, and each one's group ``(n, c)``."""
        labels, k = similar_cells(z, most=most), z.shape[1]
        count = int(labels.max()) + 1
        size = torch.bincount(labels, minlength=count).to(z)
        centre = z.new_zeros(count, k).index_add_(0, labels, z) / size.clamp_min(1.0)[:, None]
        apart = z - centre[labels]
        scatter = torch.stack([apart[labels == i].T @ apart[labels == i] for i in range(count)])
        return cls.of(size, centre, scatter), torch.nn.functional.one_hot(labels, count).to(z)

    @classmethod
    def of(cls, size: Tensor, centre: Tensor, scatter: Tensor) -> Mixture:
        """The mixture of ``size`` cells each, around ``centre``, with second moments ``scatter`` (sums, not means).

        A component with few cells borrows the shape of all.
        """
        k = centre.shape[1]
        size = size + 1e-9
        covariance = scatter + (k + 2) * scatter.sum(0) / size.sum()
        covariance = covariance / (size + k + 2)[:, None, None] + 1e-5 * torch.eye(k, dtype=scatter.dtype)
        return cls(size / size.sum(), centre, covariance)

    def improved(self, z: Tensor, molecules: Tensor, information: Tensor) -> tuple[Mixture, Tensor, float]:
        """A step of expectation maximisation.

        It is ``posterior`` and the moments of what that finds, a few cells at a time and
        without the means of any cell: six times faster.

        Parameters
        ----------
        z
            Codes at which the cells' likelihoods have their peak, ``(n, k)``.
        molecules
            Of the cells, ``(n,)``.
        information
            Average per molecule in each component, ``(c, k, k)``.

        Returns
        -------
        The mixture, the weights of the components in each cell before the step ``(n, c)``, and the mean log-likelihood
        of a cell before the step, in nats up to a constant.
        """
        axes = self.axes(information)
        unroot = axes["unroot"].mT.contiguous()
        start = self.centre[:, None] @ unroot
        sums = [torch.zeros_like(part) for part in (self.weights, self.centre, self.covariance, self.centre)]
        size, first, second, left = sums
        members, objective = [], 0.0
        for some, known in zip(z.split(BLOCK), molecules.split(BLOCK), strict=True):
            along = (some @ unroot).sub_(start)  # (c, cells, k), in the component's own axes
            looser = (known[:, None] * axes["information"][:, None]).add_(1.0)
            evidence = looser.log().sum(2).neg_()
            variance = looser.reciprocal_()
            there = torch.addcmul(along, along, variance, value=-1.0)
            evidence -= torch.linalg.vecdot(along, there)
            joint = evidence.mul_(0.5).T + axes["log_weights"]
            objective += float(torch.logsumexp(joint, 1).sum())
            member = torch.softmax(joint, 1)
            share = member.T[:, :, None]
            weighted = there * share
            size += member.sum(0)
            first += weighted.sum(1)
            second += weighted.mT @ there
            left += (share.mT @ variance)[:, 0]
            members.append(member)
        mean = first / (size + 1e-9)[:, None]
        inner = second - first[:, :, None] * mean[:, None, :] + torch.diag_embed(left)
        root = axes["root"]
        centre = self.centre + (root @ mean[:, :, None])[..., 0]
        return Mixture.of(size, centre, root @ inner @ root.mT), torch.cat(members), objective / len(z)

    def moved(self, mean: Tensor, back: Tensor) -> Mixture:
        """Mixture of the factors ``(z - mean) @ back``."""
        return Mixture(self.weights, (self.centre - mean) @ back, back @ self.covariance @ back)

    def along(self, axes: Tensor) -> Mixture:
        """Mixture of the factors in these directions ``(k, kept)`` alone."""
        return Mixture(self.weights, self.centre @ axes, axes.T @ self.covariance @ axes)

    def axes(self, information: Tensor) -> dict[str, Tensor]:
        """The mixture in the axes of each component in which its information ``(c, k, k)`` is diagonal."""
        lower = torch.linalg.cholesky(self.covariance)
        strength, turn = torch.linalg.eigh(lower.transpose(1, 2) @ information @ lower)
        return {
            "log_weights": self.weights.log(),
            "centre": self.centre,
            "root": lower @ turn,
            "unroot": turn.transpose(1, 2) @ torch.linalg.inv(lower),
            "information": strength.clamp_min(0.0),
        }

    def stretch(self, found: LatentPosterior) -> Tensor:
        """Optimal transport ``(c, k, k)`` of the posterior means of each component to the component itself."""
        apart = found.means - self.centre
        seen = torch.einsum("nci,ncj->cij", apart * found.weights[:, :, None], apart)
        seen = seen / found.weights.sum(0)[:, None, None].clamp_min(1e-9)
        seen = seen + 1e-6 * torch.eye(seen.shape[1], dtype=seen.dtype)
        root, back = _powers(seen)
        middle, _ = _powers(root @ self.covariance @ root)
        values, vectors = torch.linalg.eigh(back @ middle @ back)
        return (vectors * values.clamp_max(MAX_STRETCH)[:, None, :]) @ vectors.mT


def similar_cells(z: Tensor, *, most: int = COMPONENTS) -> Tensor:
    """Group of each of the factors ``(n, k)``, by k-means, ``(n,)``: at most ``most``, fewer where cells are few."""
    n, k = z.shape
    count = max(1, min(most, n // CELLS))
    if count == 1 or k == 0:
        return z.new_zeros(n, dtype=torch.long)
    labels = k_means(z.cpu().double().numpy(), count)
    return torch.from_numpy(labels).long().to(z.device)


def _powers(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric square root of covariances ``(..., k, k)``, and its inverse."""
    values, vectors = torch.linalg.eigh(covariance)
    root = values.clamp_min(1e-10).sqrt()[..., None, :]
    return (vectors * root) @ vectors.mT, (vectors / root) @ vectors.mT
