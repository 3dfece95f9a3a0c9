"""Laws of training: what is refused, what is held out, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from scif.core.noise import Gaussian
from scif.fields.images import ImageDenoiser, psnr
from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._held_out import reserve
from scif.fields.images._patches import Patches
from scif.fields.images._train import KeepBest
from scif.fields.images._training import Training, default_steps


class Unread:
    """An array that may not be read."""

    shape, dtype = (4, 48, 48), np.dtype("f4")

    def __getitem__(self, key: object) -> np.ndarray:
        raise AssertionError


@pytest.mark.parametrize("argument", ["max_steps", "batch_size", "patch"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "many"])
def test_numbers_of_training_are_refused_before_an_image_is_read(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{argument} is {value!r}; give a whole number"):
        ImageDenoiser(noise="gaussian").fit(Unread(), **{argument: value})


def test_the_old_name_of_max_steps_is_taken_with_one_warning() -> None:
    options = {"batch_size": 8, "patch": None, "lr": 1e-3, "ema_decay": 0.9, "progress": False}
    with pytest.warns(FutureWarning, match="steps is now called max_steps") as told:
        training = Training.checked(2, max_steps=None, trainer={"steps": 7, "devices": 1}, **options)
    assert (training.max_steps, training.trainer, len(told)) == (7, {"devices": 1}, 1)
    with pytest.raises(TypeError, match=r"steps=7 and max_steps=9"):
        Training.checked(2, max_steps=9, trainer={"steps": 7}, **options)
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="^steps is 0; give"):
        ImageDenoiser(noise="gaussian").fit(Unread(), steps=0)


def scene(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return 120 + 50 * np.sin(x / 9) * np.cos(y / 11) + 30 * (np.hypot(x % 40 - 20, y % 40 - 20) < 12)


@pytest.mark.trains
@pytest.mark.parametrize(
    "shape",
    [(128, 128), pytest.param((4, 64, 64), marks=pytest.mark.slow)],
    ids=["one image", "a stack"],
)
def test_one_image_and_one_stack_gain_by_default(shape: tuple[int, ...]) -> None:
    clean = scene(shape[-1])
    noisy = clean + 20 * np.random.default_rng(0).normal(size=shape)
    denoiser = ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit(noisy)
    assert psnr(np.broadcast_to(clean, shape), denoiser.denoise(noisy), data_range=255) > 31  # 22 with noise


def test_steps_follow_the_size() -> None:
    def steps(side: int) -> int:
        return default_steps([ImageStack(np.empty((side, side), dtype="u1"), Axes("YX"))])

    assert [steps(n) for n in (64, 256, 512, 4096)] == [300, 500, 1000, 1000]


@pytest.mark.parametrize("shape", [(1, 300, 260), (30, 48, 48), (6, 200, 120)])
def test_crops_of_training_share_no_pixel_with_those_held_out(shape: tuple[int, ...]) -> None:
    stacks = [ImageStack(np.arange(np.prod(shape), dtype=np.int64).reshape(shape), Axes("TYX"))]
    boxes = reserve(stacks, (48, 48), seed=0)
    assert len(boxes) == len(set(boxes)) >= 2
    crops = Patches(stacks, batch_size=8, patch=48, steps=10, reserved=boxes)
    held_out = torch.cat(crops.held_out())
    assert held_out.shape == (len(boxes), 1, 48, 48)
    assert not np.isin(torch.cat(list(crops)).numpy(), held_out.numpy()).any()


def test_images_too_small_to_spare_a_crop_hold_none_out() -> None:
    assert reserve([ImageStack(np.zeros((2, 50, 50)), Axes("TYX"))], (48, 48), seed=0) == []


def test_the_best_weights_are_kept_and_a_rising_risk_ends_training() -> None:
    class Stub:
        def __init__(self) -> None:
            self.averaged, self.should_stop, self.callback_metrics = nn.Linear(1, 1, bias=False), False, {}

    one, best = Stub(), KeepBest()
    for step, risk in enumerate([3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]):
        assert not one.should_stop
        with torch.no_grad():
            one.averaged.weight.fill_(float(step))
        one.callback_metrics = {"validation_anchor": torch.tensor(risk)}
        best.on_validation_end(one, one)
    assert one.should_stop
    best.restore(one)
    assert float(one.averaged.weight) == 1.0
