"""Axes strings and reading regions: what is asked for comes back, whatever the order of the source's axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scif.fields.images._axes import Axes, ImageStack


@pytest.mark.parametrize("axes", ["TCZYX", "XYZCT", "CYXTZ", "ZTYXC"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_written_where_it_was_read(axes: str, ndim: int) -> None:
    source = np.random.default_rng(0).integers(0, 255, size=[3, 2, 4, 5, 6]).astype(np.uint8)
    stack = ImageStack(source, Axes(axes, ndim))
    copy = ImageStack(np.zeros_like(source), Axes(axes, ndim))
    for k in range(len(stack)):
        copy.write(k, [0] * ndim, stack.read(k))
    np.testing.assert_array_equal(copy.source, source)


def test_every_order_of_axes_gives_the_same_images() -> None:
    source = np.random.default_rng(0).normal(size=(2, 3, 4, 5))  # T C Y X
    wanted = list(source)
    for order in itertools.permutations(range(4)):
        stack = ImageStack(source.transpose(order), Axes("".join("TCYX"[k] for k in order)))
        assert stack.channels == 3
        assert stack.spatial == (4, 5)
        for k, image in enumerate(wanted):
            np.testing.assert_array_equal(stack.read(k), image)


@pytest.mark.parametrize("pad", [0, 1, 4, 11])
def test_beyond_the_border_is_mirrored(pad: int) -> None:
    image = np.random.default_rng(0).normal(size=(5, 4))
    got = ImageStack(image, Axes("YX")).read(0, [slice(-pad, 5 + pad), slice(-pad, 4 + pad)])
    np.testing.assert_array_equal(got[0], np.pad(image, pad, mode="reflect"))


def test_a_region_reads_no_more_than_itself() -> None:
    class Counting:
        shape, dtype = (100, 100), np.dtype(float)
        read = 0

        def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
            block = np.zeros(self.shape)[index]
            self.read += block.size
            return block

    source = Counting()
    ImageStack(source, Axes("YX")).read(0, [slice(-3, 7), slice(50, 60)])
    assert source.read == 7 * 10


@pytest.mark.parametrize(
    ("axes", "ndim", "named"),
    [
        ("TYY", 2, "'TYY'"),
        ("TCX", 2, r"without \['Y'\]"),
        ("TYX", 3, r"without \['Z'\]"),
        ("Y X", 2, "'Y X'"),
        ("YX", 5, "5"),
    ],
)
def test_bad_axes_are_named(axes: str, ndim: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Axes(axes, ndim)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'CYX' but the array has shape \(3, 4\)"):
        ImageStack(np.zeros((3, 4)), Axes("CYX"))
    with pytest.raises(ValueError, match="axes was not given"):
        Axes.guess(4, 2)
    with pytest.raises(TypeError, match="complex128"):
        ImageStack(np.zeros((3, 4), dtype=complex), Axes("YX"))
    with pytest.raises(ValueError, match="empty"):
        ImageStack(np.zeros((0, 4)), Axes("YX"))
