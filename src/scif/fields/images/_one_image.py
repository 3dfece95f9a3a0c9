"""One image in, one image out: for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from scif.core.noise import NoiseModel

__all__ = ["denoise_image"]


def denoise_image(
    image: ArrayLike, noise: NoiseModel | str = "auto", *, axes: str | None = None, **options: Any
) -> NDArray[Any]:
    """Train on one image or stack, and denoise it.

    Parameters
    ----------
    image
        Array ``(height, width)``, ``(images, height, width)`` or any other with ``axes``.
    noise, axes
        Same as for :class:`~scif.fields.images.ImageDenoiser` and its ``fit``.
    **options
        Arguments of :meth:`ImageDenoiser.fit() <scif.fields.images.ImageDenoiser.fit>`.

    Returns
    -------
    An array with the shape and type of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.core.noise import Gaussian
    >>> noisy = np.random.default_rng(0).normal(100, 25, size=(40, 56)).astype("float32")
    >>> denoise_image(noisy, Gaussian(25.0), max_steps=2, batch_size=2, patch=16).shape
    (40, 56)
    """
    import numpy as np

    from scif.fields.images._denoiser import ImageDenoiser

    if isinstance(image, str | Path):
        msg = f"image is {str(image)!r}; pass an array, or files to ImageDenoiser().fit(path) and denoise(path)."
        raise TypeError(msg)
    pixels = np.asarray(image)
    result: NDArray[Any] = ImageDenoiser(noise).fit(pixels, axes=axes, **options).denoise(pixels, axes=axes)
    return result
