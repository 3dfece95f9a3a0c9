"""``scif fluid``: simulate flows, recover their initial fields, score the result; NetCDF in and out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from scif.cli._files import check_apart, check_free

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True, help="what to do")
    simulate = actions.add_parser("simulate", help="draw initial fields and simulate their flow")
    simulate.add_argument("output", type=Path, help="NetCDF file to write, with the variables initial and final")
    simulate.add_argument("--case", choices=["laminar", "turbulent"], default="laminar", help="(default: laminar)")
    simulate.add_argument("--fields", type=int, default=64, help="number of fields (default: 64)")
    simulate.add_argument("--size", type=int, default=64, help="points along each axis (default: 64)")
    invert = actions.add_parser("invert", help="train on final vorticity fields and write the initial fields")
    invert.add_argument("input", type=Path, help="NetCDF or HDF5 file with dimensions y and x; never modified")
    invert.add_argument("output", type=Path, help="NetCDF file to write")
    invert.add_argument("--variable", help="variable of the input (default: final, vorticity, or the only one)")
    invert.add_argument("--max-steps", type=int, default=1000, help="training steps (default: 1000)")
    invert.add_argument("--width", type=int, default=24, help="hidden channels of the network (default: 24)")
    invert.add_argument("--boundary", choices=["refuse", "window"], default="refuse", help="(default: refuse)")
    invert.add_argument("--checkpoint", type=Path, help="folder for checkpoints; run the command again to resume")
    invert.add_argument("--spread", action="store_true", help="also write the standard deviation of each point")
    invert.add_argument(
        "--simulated",
        type=Path,
        metavar="FILE",
        help=(
            "NetCDF file whose variable 'initial' holds simulated initial fields like the unknown ones; --spread "
            "then includes scales that the observations have lost"
        ),
    )
    invert.add_argument("--save-model", type=Path, help="file to save the trained inverter in, .safetensors")
    for action in (simulate, invert):
        action.add_argument("--viscosity", type=float, required=action is invert, help="kinematic viscosity")
        action.add_argument(
            "--duration", type=float, required=action is invert, help="time from the initial to the final field"
        )
        action.add_argument("--sigma", type=float, default=0.0, help="standard deviation of the noise (default: 0)")
        action.add_argument("--seed", type=int, default=0, help="(default: 0)")
        action.add_argument("--overwrite", action="store_true", help="replace an existing output")
    evaluate = actions.add_parser("evaluate", help="score fields against the truth")
    evaluate.add_argument("truth", type=Path, help="NetCDF file with the true fields")
    evaluate.add_argument("estimates", nargs="+", type=Path, help="NetCDF files with estimates of the same fields")
    evaluate.add_argument("--variable", default="initial", help="variable of the truth (default: initial)")


def run(arguments: Namespace) -> None:
    """Do what was asked for."""
    {"simulate": _simulate, "invert": _invert, "evaluate": _evaluate}[arguments.action](arguments)


def _check_numbers(arguments: Namespace, *names: str) -> None:
    """Refuse before any work is done."""
    for name in names:
        least = 4 if name == "size" else 1
        if getattr(arguments, name) < least:
            msg = f"--{name.replace('_', '-')} is {getattr(arguments, name)}; give at least {least}."
            raise ValueError(msg)


def _simulate(arguments: Namespace) -> None:
    _check_numbers(arguments, "fields", "size")
    check_free(arguments.output, overwrite=arguments.overwrite)
    import numpy as np
    import torch
    import xarray as xr

    from scif.fields.fluids import laminar, turbulent, write_fields

    make = laminar if arguments.case == "laminar" else turbulent
    given = {name: getattr(arguments, name) for name in ("viscosity", "duration")}
    given = {name: value for name, value in given.items() if value is not None}
    case = make(**given, sigma=arguments.sigma, cutoff=min(6, arguments.size // 3 - 1))
    rng = torch.Generator().manual_seed(arguments.seed)
    pairs = case.draw(arguments.fields, arguments.size, generator=rng)
    points = np.arange(arguments.size) * 2 * np.pi / arguments.size
    dims, about = ("sample", "y", "x"), {"units": "s-1", "long_name": "vorticity"}
    data = xr.Dataset(
        {"initial": (dims, pairs.initial.numpy(), about), "final": (dims, pairs.final.numpy(), about)},
        coords={name: (name, points, {"units": "m"}) for name in ("y", "x")},
        attrs={"viscosity": case.channel.solver.viscosity, "duration": case.channel.duration, "sigma": arguments.sigma},
    )
    write_fields(data, arguments.output, overwrite=arguments.overwrite)
    _say(f"Wrote {arguments.output}: {arguments.fields} flows, {data.attrs}")


def _invert(arguments: Namespace) -> None:
    _check_numbers(arguments, "max_steps")
    written = {"output": arguments.output, "--save-model": arguments.save_model}
    check_apart(written, [arguments.input, arguments.simulated])
    for path in written.values():
        check_free(path, overwrite=arguments.overwrite)
    from scif.fields.fluids import FluidInverter, NavierStokes2D, NavierStokesChannel, read_fields, write_fields

    if arguments.simulated is not None and not arguments.spread:
        msg = f"--simulated is {arguments.simulated}, but the spread was not asked for; add --spread."
        raise ValueError(msg)
    fields = _fields(read_fields(arguments.input, variable=arguments.variable), "final")
    solver = NavierStokes2D(arguments.viscosity, length=_sides(fields))
    channel = NavierStokesChannel(solver, arguments.duration, sigma=arguments.sigma)
    simulated = None
    if arguments.simulated is not None:  # refused before training if they are on another grid
        from scif.fields.fluids.inputs import as_observations, as_simulated

        initial = _fields(read_fields(arguments.simulated), "initial")
        simulated = as_simulated(initial, like=as_observations(fields, channel, arguments.boundary))
    inverter = FluidInverter(channel, width=arguments.width, boundary=arguments.boundary, seed=arguments.seed)
    progress = arguments.output_to.progress
    how = {"progress": progress, "checkpoint_dir": arguments.checkpoint}
    _say(f"{arguments.max_steps} training steps ...")
    inverter.fit(fields, max_steps=arguments.max_steps, **how)
    if arguments.spread:
        inverter.fit_spread(fields, initial=simulated, max_steps=min(200, arguments.max_steps), **how)
        mean, std = inverter.invert(fields, return_std=True)
        result = mean.rename("initial").to_dataset().assign(initial_std=std)
    else:
        result = inverter.invert(fields).rename("initial").to_dataset()
    result.attrs |= {"viscosity": arguments.viscosity, "duration": arguments.duration, "sigma": arguments.sigma}
    write_fields(result, arguments.output, overwrite=arguments.overwrite)
    if arguments.save_model is not None:
        inverter.save(arguments.save_model, overwrite=arguments.overwrite)
    _say(f"Wrote {arguments.output}")


def _evaluate(arguments: Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from scif.fields.fluids import read_fields, relative_l2, spectrum_error, vorticity_correlation
    from scif.fields.fluids.labelled import to_tensor

    truth = to_tensor(read_fields(arguments.truth, variable=arguments.variable))
    table = Table("fields", "relative L2", "correlation", "spectrum", caption="means; spectrum error in decades")
    for path in arguments.estimates:
        found = to_tensor(_fields(read_fields(path), "initial"))
        if found.shape != truth.shape:
            msg = f"{path} holds fields of shape {tuple(found.shape)}, but the truth {tuple(truth.shape)}."
            raise ValueError(msg)
        scores = [relative_l2(found, truth), vorticity_correlation(found, truth), spectrum_error(found, truth)]
        table.add_row(path.name, *(f"{float(score.mean()):.4g}" for score in scores))
    Console().print(table)


def _fields(data: Any, name: str) -> Any:
    """The variable of that name where a file has several."""
    return data[name] if hasattr(data, "data_vars") and name in data else data


def _sides(fields: Any) -> tuple[float, float]:
    """Side lengths from the coordinates along y and x; 2 pi where there are none."""
    import math

    import numpy as np

    def side(name: str) -> float:
        if name not in fields.coords or fields.sizes[name] < 2:
            return 2 * math.pi
        points = np.asarray(fields[name].values, dtype=float)
        return float(points[-1] - points[0]) / (len(points) - 1) * len(points)

    return side("y"), side("x")


def _say(text: str) -> None:
    from rich.console import Console

    Console().print(text, markup=False, highlight=False, soft_wrap=True)
