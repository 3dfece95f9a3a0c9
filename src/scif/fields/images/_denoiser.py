"""Denoising of images of any size, learnt from the noisy images alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scif import modelfile
from scif.core import Objective
from scif.core.noise import NoiseModel
from scif.fields.images import _saving
from scif.fields.images._apply import Pass, Writing, check_channels, check_errors, denoise_inputs
from scif.fields.images._channel import check_noise
from scif.fields.images._fitting import Fitted, fit_restorer
from scif.fields.images._frames import count_frames, frames_of
from scif.fields.images._inputs import open_images
from scif.fields.images._objective import make_objective
from scif.fields.images._report import ImageReport
from scif.fields.images._reporting import make_report
from scif.fields.images._restorer import Restorer
from scif.fields.images._settings import Estimator, Settings, choose, per_axis
from scif.fields.images._training import Training
from scif.fields.images._units import InUnits
from scif.fields.images.calibration import Calibration

__all__ = ["ImageDenoiser"]


class ImageDenoiser:
    r"""Denoise images with a network that learns from the noisy images alone.

    The network is a small U-Net, used as a consistency function (or, for ``method="ifm"``, as the mean of a flow) of
    the noise channel. Training minimises a sum of two terms. The anchor is an unbiased estimate of the squared error
    from the real images. The inverse consistency (or inverse flow matching) loss adds new noise to the network's own
    clean images. ``anchor_weight=0`` is the published method.

    Parameters
    ----------
    noise
        A channel on the scale of the pixels, such as ``scif.core.noise.Gaussian(25.0)``; or the name of a kind whose
        parameters are measured from the images: ``"gaussian"``, ``"correlated_gaussian"``, ``"poisson"``,
        ``"poisson_gaussian"``, or your own registered channel (:func:`scif.core.register_channel`) with a ``measure``
        method. ``"auto"`` also finds the kind and reports it. In movies (axis ``T``) the noise is measured on
        differences between frames. Channels of fractions (:class:`~scif.core.noise.Jacobi`) divide integers by full
        scale.
    ndim
        Number of spatial axes: 2 for images, 3 for volumes.
    channels
        ``"together"``: one network sees all channels; ``"apart"``: each channel has its own network, noise and
        normalisation.
    method
        ``"icm"`` (one call of the network) or ``"ifm"`` (an ODE in every training step).
    anchor_weight
        Weight of the anchor.
    consistency_weight
        Weight of the inverse consistency term.
    num_steps
        Number of time steps of the consistency or flow matching term; few steps shrink weak signals.
    fraction
        Fraction of an image's information that the anchor shows to the network.
    widths, blocks, factor
        Size of the network, see :class:`~scif.nn.unet.UNet`. By default volumes are not downsampled between planes. The
        default network trains on a CPU in minutes; on a GPU use ``widths=(64, 128, 256), blocks=2``.
    network
        Your own network: a module, or a function (or class) of the number of channels that returns one. It is called as
        ``net(x, t)`` with ``(batch, channels, *spatial)`` of any spatial size and times ``(batch,)``, and returns the
        shape of ``x``. Its receptive field should not exceed the overlap of tiles. If it has a grid, its attribute
        ``multiple`` gives the period. ``widths``, ``blocks`` and ``factor`` are then ignored.
    neighbour_frames
        Number of frames before and after each image, in the same movie (axis ``T``), that the network also sees.
        ``"auto"``: 2 for movies whose frames resemble one another. Their noise must be independent of the noise of the
        image. If it is correlated in time, as after averaging frames, the network keeps the common part as signal:
        use 0.
    seed
        Seed of the weights, the order of the crops and all random draws.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.core.noise import Gaussian
    >>> noisy = np.random.default_rng(0).normal(100, 25, size=(2, 40, 56)).astype("float32")
    >>> denoiser = ImageDenoiser(noise=Gaussian(25.0), widths=(4, 8)).fit(noisy, max_steps=2, batch_size=2, patch=16)
    >>> denoiser.denoise(noisy).shape
    (2, 40, 56)
    """

    def __init__(
        self,
        noise: NoiseModel | str = "auto",
        *,
        ndim: int = 2,
        channels: Literal["together", "apart"] = "together",
        method: Literal["icm", "ifm"] = "icm",
        anchor_weight: float = 1.0,
        consistency_weight: float = 0.03,
        num_steps: int = 10,
        fraction: float = 0.9,
        widths: Sequence[int] = (16, 32),
        blocks: int = 2,
        factor: int | Sequence[int] | None = None,
        network: Callable[[int], nn.Module] | nn.Module | None = None,
        neighbour_frames: int | Literal["auto"] = "auto",
        seed: int = 0,
    ) -> None:
        choose("ndim", ndim, (2, 3))
        check_noise(noise)
        self.noise, self.neighbour_frames = noise, neighbour_frames
        self.settings = Settings(
            ndim=ndim,
            channels=channels,
            method=method,
            anchor_weight=float(anchor_weight),
            consistency_weight=float(consistency_weight),
            num_steps=num_steps,
            fraction=float(fraction),
            widths=tuple(widths) if isinstance(widths, Sequence) else (widths,),
            blocks=blocks,
            factor=per_axis((1, 2, 2)[-ndim:] if factor is None else factor, ndim, name="factor"),
            seed=seed,
            neighbour_frames=0 if neighbour_frames == "auto" else neighbour_frames,
            own_network=network,
        )
        self.restorers_: list[Restorer] = []
        self.calibrations_: list[list[Calibration]] = []
        self.history_: list[dict[str, list[float]]] = []

    @property
    def estimator(self) -> Estimator:
        """Default estimator of :meth:`denoise`: the posterior mean if it was trained, otherwise transport."""
        return self.settings.estimator

    @property
    def noise_(self) -> list[NoiseModel]:
        """Copies of the networks' noise channels, in pixel units (after subtraction of the camera offset)."""
        return [copy.deepcopy(one.noise.noise).cpu() for one in self.restorers_]

    def fit(
        self,
        images: Any,
        *,
        axes: str | None = None,
        max_steps: int | None = None,
        batch_size: int = 8,
        patch: int | Sequence[int] | None = None,
        lr: float = 4e-3,
        ema_decay: float = 0.99,
        progress: bool = False,
        checkpoint_dir: str | Path | None = None,
        **trainer_options: Any,
    ) -> ImageDenoiser:
        """Learn from noisy images.

        Parameters
        ----------
        images
            A NumPy, zarr or dask array, the path of a TIFF, OME-TIFF, zarr or OME-zarr image, or a list of these, of
            any sizes. Files are never loaded as a whole.
        axes
            One letter per axis, such as ``"TCZYX"``: ``C`` is the channel, ``Y`` and ``X`` (and ``Z`` in 3-D) are
            spatial, and all others count images. By default the axes are read from the file or, if it does not name
            them, ``"YX"`` after at most one axis that counts images.
        max_steps
            Maximum number of optimiser steps; by default it depends on the number of pixels. Training ends earlier if
            the squared error on held-out crops, estimated without a truth, gets worse.
        batch_size
            Number of crops per step.
        patch
            Side of a crop, or one number per spatial axis; default 48, or 8 planes of 32 in 3-D.
        lr
            Largest learning rate; larger networks need a smaller one.
        ema_decay
            Fraction of the moving average of the weights that a step keeps.
        progress
            Whether to show a progress bar.
        checkpoint_dir
            Folder for checkpoints, written every minute and on SIGTERM. ``fit`` with the same images and arguments
            resumes from there; on a CPU the result is bit-identical to that of an uninterrupted run.
        **trainer_options
            Arguments of ``lightning.pytorch.Trainer``, such as ``accelerator``, ``precision`` or ``callbacks``.

        Returns
        -------
        The denoiser itself.

        Raises
        ------
        ValueError
            If pixels are not finite or lie outside the support of the channel, or if axes do not fit.
        KeyboardInterrupt
            If Ctrl-C comes before the training of every network has begun. Later it ends training and keeps the result.
        """
        training = Training.checked(
            self.settings.ndim,
            max_steps=max_steps,
            batch_size=batch_size,
            patch=patch,
            lr=lr,
            ema_decay=ema_decay,
            progress=progress,
            checkpoint_dir=checkpoint_dir,
            trainer=trainer_options,
        )
        stacks = [one.stack for one in open_images(images, axes=axes, ndim=self.settings.ndim, once=True)]
        frames = count_frames(self.neighbour_frames, stacks, own_network=self.settings.own_network is not None)
        self.settings = replace(self.settings, neighbour_frames=frames)
        groups = [stacks]
        if self.settings.channels == "apart":
            groups = [[stack.only(c) for stack in stacks] for c in range(stacks[0].channels)]
        fitted: list[Fitted] = []
        for part, group in enumerate(groups):
            fitted.append(fit_restorer(group, self.noise, self.settings, self.make_objective, training, part=part))
            if fitted[-1].interrupted and len(fitted) < len(groups):
                msg = f"interrupted before {len(groups) - len(fitted)} of {len(groups)} networks; nothing is kept here."
                raise KeyboardInterrupt(msg)
        self.restorers_ = [one.restorer for one in fitted]
        self.calibrations_ = [one.found.calibrations for one in fitted]
        self.history_ = [one.history for one in fitted]
        return self

    def denoise(
        self,
        images: Any,
        *,
        axes: str | None = None,
        estimator: Estimator | None = None,
        augment: bool = True,
        dtype: Any = None,
        return_std: bool = False,
        out: Any = None,
        overwrite: bool = False,
        tile: int | Sequence[int] | None = None,
        overlap: int | Sequence[int] | None = None,
        batch_size: int = 4,
    ) -> Any:
        """Denoise images: the training images, or others of the same kind.

        Parameters
        ----------
        images, axes
            Same as for :meth:`fit`. Sizes may differ from those of the training images.
        estimator
            ``"mean"``: posterior mean, with the lowest squared error. ``"transport"``: keeps the distribution (contrast
            of details), at the price of a larger error. Default :attr:`estimator`.
        augment
            Average the posterior mean over mirror images in the plane, if the noise has these symmetries. This is more
            accurate but takes up to four times as long. Transport is never averaged.
        dtype
            Data type of the result. By default that of the images; values are rounded and clipped to its range.
        return_std
            Also return, for each pixel, the standard deviation of the posterior mean around the truth.
        out
            Output path for each file; by default next to the original, with ``_denoised`` in the name.
        overwrite
            Replace an existing output. The original is never replaced.
        tile, overlap
            Longest side of a tile, and overlap of neighbouring tiles: one number, or one per spatial axis.
        batch_size
            Number of tiles processed at a time.

        Returns
        -------
        For an array, an array of the same shape; for a path, the path that was written; for a list, a list of these.
        Pixels have the scale of the input. With ``return_std`` each result is a pair of the result and its standard
        deviations in single precision (for files, a second file with ``_std`` in the name). They belong to the mean
        over mirror images (``augment``), and are learned on crops of the training images. A 90% interval is the result
        plus or minus 1.64 standard deviations. Pixels that are not measurements stay unchanged and get zero.

        Raises
        ------
        ValueError
            If channels or axes do not fit, if an output cannot be written, or if the networks were not trained for the
            estimator.
        """
        self._check_fitted()
        settings = self.settings
        if return_std:
            check_errors(self.restorers_, estimator or self.estimator)
        flow_steps = settings.num_steps if settings.by_flow(estimator) else None
        augment = augment and (estimator or self.estimator) == "mean"
        inputs = open_images(images, axes=axes, ndim=settings.ndim)
        check_channels(self.restorers_, [one.stack for one in inputs])
        several = isinstance(images, list | tuple)
        outs = list(out) if several and out is not None else [out] * len(inputs)
        if len(outs) != len(inputs):
            msg = f"out names {len(outs)} files for {len(inputs)} images; give one for each."
            raise ValueError(msg)
        how = Pass(flow_steps, augment, tile=tile, overlap=overlap, batch_size=batch_size)
        write = Writing(outs, dtype=dtype, overwrite=overwrite, return_std=return_std)
        results = denoise_inputs(self.restorers_, settings, inputs, how, write)
        return results if several else results[0]

    def report(self, images: Any, *, axes: str | None = None, channel: int = 0) -> ImageReport:
        """Evaluate the denoiser without a clean image, preferably on images that it was not trained on.

        Parameters
        ----------
        images, axes
            As for :meth:`fit`.
        channel
            Number of the channel, from 0.

        Returns
        -------
        A report with the methods ``to_frame()``, ``figure()`` and ``to_html(path)``.

        Raises
        ------
        ValueError
            If there is no such channel, or if the networks were trained for transport only, which has no risk estimate.
        """
        self._check_fitted()
        if self.estimator != "mean":
            msg = f"the denoiser is trained for the {self.estimator}; a report judges the mean (anchor_weight > 0)."
            raise ValueError(msg)
        stacks = [one.stack for one in open_images(images, axes=axes, ndim=self.settings.ndim)]
        check_channels(self.restorers_, stacks)
        if channel not in range(stacks[0].channels):
            msg = f"channel is {channel!r}; the images have channels 0 to {stacks[0].channels - 1}."
            raise ValueError(msg)
        frames = frames_of(self.settings.neighbour_frames, stacks)
        if len(self.restorers_) == 1:
            return make_report(self.restorers_[0], stacks, channel=channel, frames=frames)
        parts = [stack.only(channel) for stack in stacks]
        return make_report(self.restorers_[channel], parts, channel=0, frames=frames)

    def to(self, device: str | torch.device) -> ImageDenoiser:
        """Move the networks to a device, on which :meth:`denoise` then runs. Default is the device of training."""
        for restorer in self.restorers_:
            restorer.to(device)
        return self

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write networks, noise, normalisation, settings and training curves to one model file (safetensors).

        If saving fails, an earlier file stays intact. Your own network is code, and so is a channel that is not
        registered (:func:`scif.core.register_channel`): pass them again to :meth:`load`.

        Raises
        ------
        FileExistsError
            If the file exists and ``overwrite`` is False.
        """
        self._check_fitted()
        _saving.write(_saving.Saved(self.settings, self.restorers_, self.history_), Path(path), overwrite=overwrite)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        noise: NoiseModel | type[NoiseModel] | None = None,
        network: Callable[[int], nn.Module] | nn.Module | None = None,
    ) -> ImageDenoiser:
        """Load a denoiser saved by :meth:`save`. The file contains no code, so it is safe to open.

        Parameters
        ----------
        path
            The file.
        noise
            Your own channel that the denoiser was trained with, or its class, unless it is registered.
        network
            Your own network, if the denoiser was trained with one.

        Raises
        ------
        ModelFileError
            If the file was not written by :meth:`save` or is damaged, or if your own channel or network is missing.
        """
        saved = _saving.read(Path(path), noise=noise, network=network)
        # of its own, which stays where it is when the networks move
        with modelfile.refuse_errors(path):
            denoiser = cls(copy.deepcopy(saved.restorers[0].noise.noise))
        denoiser.settings, denoiser.restorers_ = saved.settings, list(saved.restorers)
        denoiser.neighbour_frames = saved.settings.neighbour_frames
        denoiser.history_ = [dict(one) for one in saved.history]
        return denoiser

    def make_objective(self, noise: InUnits, x1: Tensor) -> Objective:
        """Training objective. Override it to train the same network with another one.

        Parameters
        ----------
        noise
            The channel in the units of the network.
        x1
            A batch of observations in these units.
        """
        return make_objective(self.settings, noise, x1)

    def _check_fitted(self) -> None:
        if not self.restorers_:
            msg = "this ImageDenoiser has not been fitted; call fit(images) or load() first."
            raise RuntimeError(msg)
