"""A mixture of normals over latent codes that are known up to noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from scif.nn.code_prior import CodePosterior

__all__ = ["Mixture"]

#: Largest stretch of a direction, for directions whose signal is all but lost.
MAX_STRETCH = 2.0


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
    def clusters(cls, z: Tensor, *, most: int, cells: int) -> tuple[Mixture, Tensor]:
        """Clusters of codes ``(n, k)``, ``cells`` of them at least in each, and each one's cluster ``(n, c)``."""
        n, k = z.shape
        count = max(1, min(most, n // cells))
        labels = KMeans(count, n_init=1, random_state=0).fit_predict(z.numpy())
        member = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), count).double()
        exact = CodePosterior(member, z[:, None].expand(n, count, k), z.new_zeros(n, count, k))
        return cls.of(exact, z.new_zeros(count, k, k)), member

    @classmethod
    def of(cls, found: CodePosterior, root: Tensor) -> Mixture:
        """The mixture with the moments of posteriors ``found``: a step of expectation maximisation.

        A component with few cells borrows the shape of all.
        """
        k = found.means.shape[2]
        size = found.weights.sum(0) + 1e-9
        centre = torch.einsum("nc,nck->ck", found.weights, found.means) / size[:, None]
        apart = found.means - centre
        variance = torch.einsum("nc,nca->ca", found.weights, found.variances)
        covariance = torch.einsum("cia,ca,cja->cij", root, variance, root)
        covariance += torch.einsum("nci,ncj->cij", apart * found.weights[:, :, None], apart)
        covariance += (k + 2) * covariance.sum(0) / size.sum()
        covariance = covariance / (size + k + 2)[:, None, None] + 1e-5 * torch.eye(k, dtype=covariance.dtype)
        return cls(size / size.sum(), centre, covariance)

    def moved(self, mean: Tensor, back: Tensor) -> Mixture:
        """Of the codes ``(z - mean) @ back``."""
        return Mixture(self.weights, (self.centre - mean) @ back, back @ self.covariance @ back)

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

    def stretch(self, found: CodePosterior) -> Tensor:
        """Optimal transport ``(c, k, k)`` of the posterior means of each component to the component itself."""
        apart = found.means - self.centre
        seen = torch.einsum("nci,ncj->cij", apart * found.weights[:, :, None], apart)
        seen = seen / found.weights.sum(0)[:, None, None].clamp_min(1e-9)
        seen = seen + 1e-6 * torch.eye(seen.shape[1], dtype=seen.dtype)
        root, back = _powers(seen)
        middle, _ = _powers(root @ self.covariance @ root)
        values, vectors = torch.linalg.eigh(back @ middle @ back)
        return (vectors * values.clamp_max(MAX_STRETCH)[:, None, :]) @ vectors.mT


def _powers(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric square root of covariances ``(..., k, k)``, and its inverse."""
    values, vectors = torch.linalg.eigh(covariance)
    root = values.clamp_min(1e-10).sqrt()[..., None, :]
    return (vectors * root) @ vectors.mT, (vectors / root) @ vectors.mT
