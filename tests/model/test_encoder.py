"""A model with an encoder of one's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import scif
from scif.counts.encoder import residual_encoder
from scif.model import ICM

COUNTS = scif.datasets.simulate_counts(80, 30, seed=0)


def linear(inputs: int, outputs: int) -> nn.Module:
    return nn.Linear(inputs, outputs)


def fitted(**settings: object) -> ICM:
    adata = COUNTS.copy()
    ICM.setup_anndata(adata)
    model = ICM(adata, n_latent=3, **settings)  # type: ignore[arg-type]
    model.train(max_epochs=2, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def own() -> ICM:
    return fitted(encoder=linear)


def test_the_default_encoder_given_is_the_default() -> None:
    given = fitted(encoder=partial(residual_encoder, hidden=256))
    np.testing.assert_array_equal(given.get_denoised(return_numpy=True), fitted().get_denoised(return_numpy=True))


def test_it_is_trained_saved_and_loaded(own: ICM, tmp_path: Path) -> None:
    assert isinstance(own.module.network.mlp, nn.Linear)
    assert own.module.network.mlp.weight[:3].abs().sum() > 0  # it began at zero
    own.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"was made with your own encoder, .*linear; pass it"):
        ICM.load(tmp_path / "model", COUNTS.copy())
    again = ICM.load(tmp_path / "model", COUNTS.copy(), encoder=linear)
    np.testing.assert_array_equal(again.get_denoised(return_numpy=True), own.get_denoised(return_numpy=True))


def test_a_file_of_the_default_encoder_takes_no_other(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    with pytest.raises(ValueError, match="has the default encoder; leave it out"):
        ICM.load(tmp_path / "model", COUNTS.copy(), encoder=linear)


class Tall(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"encoder": "mlp"}, TypeError, "encoder is 'mlp'; pass a function"),
        ({"encoder": lambda _, __: 3}, TypeError, r"encoder\(5, 11\) returned int"),
        ({"encoder": lambda _, __: Tall()}, ValueError, r"returns shape \(3, 5\) .* must return \(3, 11\)"),
        ({"encoder": linear, "n_hidden": 64}, ValueError, "apply to the default encoder"),
    ],
)
def test_what_is_no_encoder_is_refused(settings: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        fitted(**settings)
