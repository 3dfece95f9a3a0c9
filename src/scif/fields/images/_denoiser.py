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
    r"""Removes the noise of images, learning from the noisy images alone.

    The network is a small U-Net made a consistency function (or, for ``method="ifm"``, the mean of a flow) of the noise
    channel. Its training minimises ``anchor_weight`` times an unbiased estimate of the squared error, made of the real
    images, plus ``consistency_weight`` times the inverse consistency (or inverse flow matching) loss, made of the
    network's own clean images under new noise. ``anchor_weight=0`` is the published method.

    Parameters
    ----------
    noise
        A channel on the scale of the pixels, such as ``scif.core.noise.Gaussian(25.0)``; or the name of a kind whose
        parameters are measured in the images: ``"gaussian"``, ``"correlated_gaussian"``, ``"poisson"``,
        ``"poisson_gaussian"``, or an own one that is registered (:func:`scif.core.register_channel`) and measures
        itself; or ``"auto"``, which finds the kind, too, and says so. Movies (axis ``T``) are measured on differences
        of frames. Channels of fractions (:class:`~scif.core.noise.Jacobi`) take integers by full scale.
    ndim
        Number of spatial axes: 2, or 3 for volumes that are denoised as such.
    channels
        ``"together"``: one network sees all channels; ``"apart"``: one network, noise and normalisation for each.
    method
        ``"icm"`` (one call of the network) or ``"ifm"`` (an ODE in every training step).
    anchor_weight, consistency_weight
        Weights of both terms.
    num_steps
        Time steps of the consistency or flow matching term; few shrink weak signals.
    fraction
        Share of an image's information that the anchor shows to the network.
    widths, blocks, factor
        Size of the network, see :class:`~scif.nn.unet.UNet`; volumes are not downsampled between planes if ``factor``
        is not given. The default trains on a processor in minutes; on a GPU take ``widths=(64, 128, 256), blocks=2``.
    network
        Own network instead: a function (or class) of the number of channels that returns a module, or the module
        itself. It is called ``net(x, t)`` with ``(batch, channels, *spatial)`` of any spatial size and times
        ``(batch,)``, and returns the shape of ``x``; no pixel should see further than the overlap of tiles, and an
        attribute ``multiple`` names the period of its grid, if there is one. ``widths``, ``blocks`` and ``factor`` are
        of no account then.
    neighbour_frames
        Number of frames before and after each image, and of the same movie (axis ``T``), that the network sees as well:
        what they show of the scene is not noise. ``"auto"``: 1 for movies. Their noise has to be independent of the
        image's own. Where it is correlated in time, as after averaging or compressing frames, the network takes the
        common part for signal and leaves it in the result: give 0.
    seed
        Seed of the weights, the order of the crops and everything drawn.

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
        """Default result of :meth:`denoise`: the posterior mean where it is trained for, else the transport."""
        return self.settings.estimator

    @property
    def noise_(self) -> list[NoiseModel]:
        """A copy of the noise channel of each network, on the scale of the pixels (less the offset of a camera)."""
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
            any sizes. Nothing is loaded as a whole.
        axes
            One letter for each axis, such as ``"TCZYX"``: ``C`` is the channel, ``Y`` and ``X`` (and ``Z`` in 3-D) are
            spatial, all others count images. Read from files that name their axes; ``"YX"`` after at most one axis that
            counts images if not given.
        max_steps
            Optimiser steps at most; by the number of pixels if not given. Training ends earlier where the squared error
            on crops held out from training, estimated without a truth, gets worse.
        batch_size
            Crops in a step.
        patch
            Side of a crop, or one for each spatial axis: 48, or 8 planes of 32 in 3-D, if not given.
        lr
            Largest learning rate; larger networks want a smaller one.
        ema_decay
            Share of the moving average of the weights that a step keeps.
        progress
            Whether to show a progress bar.
        checkpoint_dir
            Folder for the state of training, written every minute and on SIGTERM. ``fit`` with the same images and
            arguments goes on from there, and ends bit for bit where a run without an interruption does (on a CPU).
        **trainer_options
            For ``lightning.pytorch.Trainer``: ``accelerator``, ``precision``, ``callbacks`` and so on.

        Returns
        -------
        The denoiser itself.

        Raises
        ------
        ValueError
            If pixels are not finite or outside what the channel can produce, or axes do not fit.
        KeyboardInterrupt
            If Ctrl-C comes before every network has begun; afterwards it ends training, and what is learnt is kept.
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
        """Remove the noise of images, the training images or others of the same kind.

        Parameters
        ----------
        images, axes
            As for :meth:`fit`. Sizes may differ from those of the training images.
        estimator
            ``"mean"``: the posterior mean, of lowest squared error; ``"transport"``: keeps the distribution (contrast
            of detail), at the price of a larger error. :attr:`estimator` if not given.
        augment
            Whether the posterior mean is averaged over the mirror images in the plane, as far as the noise has these
            symmetries: closer to the truth, for up to four times the time. The transport never is.
        dtype
            Of the result; that of the images if not given, rounded and kept inside its range.
        return_std
            Whether to give, for each pixel, the standard deviation of the posterior mean around the truth, too.
        out
            For files: where to write, one path for each; beside the original with ``_denoised`` in the name if not
            given.
        overwrite
            Whether an existing output may be replaced. The original never is.
        tile, overlap
            Longest side of what passes through the network at once and how far such tiles reach into one another, one
            number or one for each spatial axis.
        batch_size
            Tiles at once.

        Returns
        -------
        For an array an array of the same shape, for a path the path that was written, for a list a list of these. The
        scale of the pixels is that of the input. With ``return_std`` each is a pair: the result, and its standard
        deviations in single precision (for a file in another with ``_std`` in the name), which are zero where a pixel
        is no measurement and stays as it was. They are those of the mean over mirror images (``augment``), learnt from
        an unbiased estimate of the squared error on crops of the training images; the bounds of a 90% interval are
        1.64 of them away.

        Raises
        ------
        ValueError
            If channels or axes do not fit, an output cannot be written, or the networks were not trained for what is
            wanted.
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
        """Judge the denoiser on images without a truth; best on images that it was not fitted on.

        Parameters
        ----------
        images, axes
            As for :meth:`fit`.
        channel
            The channel to report on, from 0.

        Returns
        -------
        A record with ``to_frame()``, ``figure()`` and ``to_html(path)``.

        Raises
        ------
        ValueError
            If there is no such channel, or the networks were trained for the transport, which no risk judges.
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
        """Move the networks to a device, where :meth:`denoise` then runs: that of the training until then."""
        for restorer in self.restorers_:
            restorer.to(device)
        return self

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write networks, noise, normalisation, settings and training curves to one model file (safetensors).

        A save that fails leaves an earlier file as it was. An own network is code, as is a channel that is not
        registered (:func:`scif.core.register_channel`): :meth:`load` has to be given these again.

        Raises
        ------
        FileExistsError
            If the file exists and ``overwrite`` is false.
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
        """Read a denoiser that :meth:`save` wrote. The file holds no code, so that it is safe to open.

        Parameters
        ----------
        path
            The file.
        noise
            The own channel that it was trained with, or its class, unless that is registered.
        network
            The own network that it was trained with, if it was.

        Raises
        ------
        ModelFileError
            If the file was not written by :meth:`save` or is damaged, or an own channel or network is not given.
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
        """Objective of training; override to train the same network otherwise.

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
