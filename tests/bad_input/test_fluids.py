"""Flows and their inversion: bad fields, settings and observations, each refused by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rows import Row, arguments, names, refused
from torch import Tensor

from scif.fields.fluids import (
    Coarse,
    FluidInverter,
    Gaps,
    Masked,
    NavierStokes2D,
    NavierStokesChannel,
    Wave,
    backward_integration,
    energy,
    laminar,
    random_vorticity,
    read_fields,
    relative_l2,
    vorticity_correlation,
)

NAN = float("nan")
CASE = laminar(cutoff=4)
FAST = {"width": 4, "depth": 1, "modes": 4}
SHORT = {"max_steps": 2, "batch_size": 2}


@cache
def _drawn() -> Tensor:
    return CASE.draw(6, 16, generator=torch.Generator().manual_seed(0)).final


def final(folder: Path) -> Tensor:
    """Six final fields."""
    return _drawn().clone()


def spoilt(value: float) -> Callable[[Path], Tensor]:
    def make(folder: Path) -> Tensor:
        fields = final(folder)
        fields[1, 2, 3] = value
        return fields

    return make


def new(**options: Any) -> Callable[[Any], Any]:
    return lambda _: FluidInverter(CASE.channel, **options)


def fit(fields: Any, *, channel: Any = None, **options: Any) -> Any:
    return FluidInverter(CASE.channel if channel is None else channel, **FAST).fit(fields, **{**SHORT, **options})


@cache
def fitted() -> FluidInverter:
    return fit(_drawn())


@cache
def spread() -> FluidInverter:
    return fit(_drawn()).fit_spread(_drawn(), **SHORT, rounds=1)


def labelled(**changes: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        import xarray as xr

        return xr.DataArray(final(folder).numpy(), dims=("sample", "y", "x")).rename(changes)

    return make


def uneven(folder: Path) -> Any:
    points = np.linspace(0, 1, 16) ** 2
    return labelled()(folder).assign_coords(x=points)


def file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def crop(folder: Path) -> Tensor:
    return laminar().draw(6, 32, generator=torch.Generator().manual_seed(0)).final[:, :16, :16].contiguous()


ROWS = [
    # the flow
    *arguments(
        "NavierStokes2D",
        lambda **options: lambda _: NavierStokes2D(**{"viscosity": 0.1, **options}),
        {"viscosity": [-0.1, NAN], "length": [0.0, -1.0, NAN], "drag": [-1.0, NAN], "cfl": [0.0, -1.0]},
    ),
    *arguments(
        "NavierStokesChannel",
        lambda **options: lambda _: NavierStokesChannel(**{"solver": CASE.channel.solver, "duration": 1.0, **options}),
        {"duration": [0.0, -1.0, NAN], "sigma": [-1.0, NAN], "steps": [0, -1, 2.5], "solver": [None]},
    ),
    Row("forcing without a wave", lambda _: Wave(1.0, (0, 0)), ValueError, ("wavenumber is (0, 0)", "drop")),
    *arguments(
        "draw", lambda **options: lambda _: CASE.draw(**{"n": 2, "size": 16, **options}), {"n": [0, -1], "size": [2]}
    ),
    *arguments(
        "random_vorticity",
        lambda **options: lambda _: random_vorticity(2, 16, **options),
        {"energy": [-1.0, NAN], "cutoff": [0, 9]},
    ),
    # the inverter
    *arguments(
        "FluidInverter",
        new,
        {
            "method": ["gan"],
            "start": ["zero"],
            "path": ["curved"],
            "network": ["mlp"],
            "boundary": ["wall"],
            "num_steps": [0, -1, 2.5],
            "width": [0, -4, 2.5],
            "modes": [0, 2.5],
            "depth": [0, 1.5],
            "max_gain": [0.0, -1.0, NAN],
            "seed": [1.5, "one"],
        },
    ),
    Row("a channel that is none", lambda _: FluidInverter(3.0), TypeError, ("channel", "3.0")),  # type: ignore[arg-type]
    Row("a start that a velocity has not", new(method="ifm", start="backward"), ValueError, ("start", "'backward'")),
    Row(
        "a viscosity for each sample",
        lambda _: FluidInverter(NavierStokesChannel(NavierStokes2D(torch.ones(6)), 1.0)),
        TypeError,
        ("viscosity", "one number"),
    ),
    # fields
    Row("fields that are NaN", fit, ValueError, ("1 entries", "(1, 2, 3)", "fix"), spoilt(NAN)),
    Row("fields that are infinite", fit, ValueError, ("1 entries", "fix"), spoilt(float("inf"))),
    Row("one field", fit, ValueError, ("final has 1 fields", "pass many"), lambda f: final(f)[:1]),
    Row("no field", fit, ValueError, ("final has 0 fields", "pass many"), lambda f: final(f)[:0]),
    Row("still fields", fit, ValueError, ("standard deviation of 0", "that vary"), lambda f: 0 * final(f)),
    Row("complex fields", fit, TypeError, ("complex64", "real numbers"), lambda f: final(f).to(torch.complex64)),
    Row("truth values", fit, TypeError, ("bool", "real numbers"), lambda f: final(f) > 0),
    Row("words", fit, TypeError, ("<U1", "real numbers"), lambda f: np.full((4, 16, 16), "a")),
    Row("None", fit, TypeError, ("NoneType", "array"), lambda f: None),
    Row("lists of unlike length", fit, (ValueError, TypeError), ("array",), lambda f: [[1.0], [1.0, 2.0]]),
    Row("one line", fit, ValueError, ("(16,)", "(n, height, width)"), lambda f: final(f)[0, 0]),
    Row("five axes", fit, ValueError, ("(1, 1, 6, 16, 16)", "(n, height, width)"), lambda f: final(f)[None, None]),
    Row("velocities for vorticity", fit, ValueError, ("(6, 2, 16, 16)",), lambda f: torch.stack([final(f)] * 2, 1)),
    Row("a grid of two points", fit, ValueError, ("(6, 2, 2)", "4 points"), lambda f: final(f)[:, :2, :2]),
    Row("not periodic", fit, ValueError, ("periodically", "boundary='window'"), crop),
    Row("dimensions of other names", fit, ValueError, ("('sample', 'lat', 'x')", "rename"), labelled(y="lat")),
    Row("uneven coordinates", fit, ValueError, ("'x'", "regrid"), uneven),
    Row("blocks that do not fit", lambda x: Coarse(5).sample(x), ValueError, ("(16, 16)", "5")),
    Row("blocks of nothing", lambda _: Coarse(0), ValueError, ("factor is 0",)),
    Row("blocks of half a point", lambda _: Coarse(2.5), (ValueError, TypeError), ("factor is 2.5",)),  # type: ignore[arg-type]
    *arguments("Gaps", lambda **options: lambda _: Gaps(**{"share": 0.3, **options}), {"size": [0, 1.5]}),
    Row("gaps everywhere", lambda _: Gaps(1.0), ValueError, ("share", "between 0 and 1")),
    Row("a mask of nothing", lambda _: Masked(np.zeros((16, 16))), ValueError, ("mask", "0 true")),
    Row(
        "a mask of another grid",
        partial(fit, channel=Masked(np.ones((8, 8))) @ CASE.channel),
        ValueError,
        ("mask has shape (8, 8)",),
    ),
    # training
    *arguments(
        "fit",
        lambda **options: partial(fit, **options),
        {
            "max_steps": [0, -1, 2.5, True, NAN],
            "batch_size": [0, -1, 2.5, True],
            "lr": [0.0, -1.0, NAN, "fast"],
            "ema_decay": [-0.1, 1.5, NAN],
            "judged_rows": [0, -1, 2.5],
            "devices": [0, -2, 99],
            "accelerator": ["tpu9"],
        },
    ),
    Row("an unknown option", partial(fit, steps=3), TypeError, ("'steps'", "max_steps")),
    *arguments(
        "fit_spread",
        lambda **options: lambda x: fitted().fit_spread(x, **{**SHORT, **options}),
        {"rounds": [0, -1, 1.5], "fields": [0, -1, 2.5], "max_steps": [0], "batch_size": [0]},
    ),
    *(
        Row(
            f"simulated fields, {what}", lambda x, bad=bad: fitted().fit_spread(x, initial=bad(x), **SHORT), error, told
        )
        for what, bad, error, told in (
            ("on another grid", lambda x: x[..., :-1], ValueError, ("initial has shape", "two simulated fields")),
            ("one", lambda x: x[:1], ValueError, ("initial has shape", "two simulated fields")),
            ("all the same", torch.zeros_like, ValueError, ("initial", "all the same")),
            ("not finite", lambda x: x / 0, ValueError, ("initial", "fix")),
            ("text", lambda x: "a.nc", TypeError, ("str",)),
        )
    ),
    Row(
        "a spread before the fit",
        lambda x: FluidInverter(CASE.channel).fit_spread(x),
        RuntimeError,
        ("not trained", "fit(final)"),
    ),
    # inversion
    Row("not trained", lambda x: FluidInverter(CASE.channel).invert(x), RuntimeError, ("not trained", "fit(final)")),
    Row("no spread", lambda x: fitted().invert(x, return_std=True), RuntimeError, ("no spread", "fit_spread")),
    Row("NaN to invert", lambda x: fitted().invert(x), ValueError, ("1 entries", "fix"), spoilt(NAN)),
    Row("no field to invert", lambda x: fitted().invert(x[:0]), ValueError, ("0 fields",)),
    *arguments(
        "invert",
        lambda **options: lambda x: fitted().invert(x, **options),
        {"refinements": [-1, 1.5], "batch_size": [0, -1, 2.5]},
    ),
    *arguments("sample", lambda **options: lambda x: spread().sample(x, **options), {"num_draws": [0, -1, 1.5]}),
    Row("misfit of two sizes", lambda x: fitted().misfit(x[:3], x), ValueError, ("3", "6")),
    # around it
    Row("scores of two shapes", lambda x: relative_l2(x, x[:3]), ValueError, ("estimate", "truth")),
    Row("scores of NaN", lambda x: relative_l2(x, final(Path())), ValueError, ("estimate", "NaN"), spoilt(NAN)),
    Row("scores of a still field", lambda x: vorticity_correlation(x, 0 * x), ValueError, ("truth", "leave it out")),
    Row("energy of whole numbers", lambda x: energy(x.long()), TypeError, ("int64", "float32")),
    Row(
        "backward without a gain",
        lambda x: backward_integration(x, CASE.channel.solver, 1.0, max_gain=0.5),
        ValueError,
        ("max_gain",),
    ),
    Row("absent file", read_fields, FileNotFoundError, ("a.nc",), lambda f: f / "a.nc"),
    Row("text named NetCDF", read_fields, ValueError, ("a.nc", "NetCDF"), file("a.nc", b"text")),
]


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_is_refused(row: Row, tmp_path: Path) -> None:
    refused(row, final, tmp_path)
