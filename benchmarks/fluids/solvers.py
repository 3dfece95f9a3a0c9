"""``python -m benchmarks.fluids.solvers``: our spectral solver beside torch-cfd's, accuracy and time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from benchmarks.report import markdown, replace_table
from torch import Tensor
from torch_cfd.grids import Grid
from torch_cfd.spectral import NavierStokes2DSpectral, RK4CrankNicolsonStepper

from scif.fields.fluids import (
    NavierStokes2D,
    SpectralGrid,
    mcwilliams_spectrum,
    random_vorticity,
    relative_l2,
    taylor_green,
)

HERE = Path(__file__).parent


def torch_cfd(vorticity: Tensor, *, viscosity: float, duration: float, steps: int, mended: bool = False) -> Tensor:
    """torch-cfd's pseudo-spectral flow; ``mended`` gives it our mask of the 2/3 rule."""
    n = vorticity.shape[-1]
    default = torch.get_default_dtype()
    torch.set_default_dtype(vorticity.dtype)  # its wavenumbers are of the default type
    try:
        grid = Grid((n, n), domain=((0, 2 * math.pi),) * 2)
        flow = NavierStokes2DSpectral(viscosity, grid, step_fn=RK4CrankNicolsonStepper())
        if mended:
            flow.filter = SpectralGrid.of((n, n), dtype=vorticity.dtype).resolved.to(vorticity.dtype)
        start = torch.fft.rfft2(vorticity.mT)  # its first axis is x
        return torch.fft.irfft2(flow(start, duration / steps, steps)[0]).mT
    finally:
        torch.set_default_dtype(default)


def measure(solve: Callable[[Tensor], Tensor], start: Tensor, exact: Tensor) -> dict[str, float]:
    began = time.process_time()
    with torch.no_grad():
        end = solve(start.float()).double()
    spent = time.process_time() - began
    return {
        "error": float(relative_l2(end, exact).mean()),
        "double": float(relative_l2(solve(start), exact).mean()),
        "cpu_s": spent,
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for n in (64, 96, 128):
        rng = torch.Generator().manual_seed(0)
        spectrum = {"spectrum": mcwilliams_spectrum, "energy": 0.5}
        decay = random_vorticity(8, n, generator=rng, dtype=torch.float64, **spectrum)
        vortex = taylor_green(n, waves=2, dtype=torch.float64)[None]
        cases = {
            "Taylor-Green": (vortex, 0.05, vortex * math.exp(-2 * 0.05 * 4)),
            "McWilliams decay": (decay, 0.16 / n, NavierStokes2D(0.16 / n).solve(decay, 1.0, steps=6 * n)),
        }
        for name, (start, viscosity, exact) in cases.items():
            steps = 2 * n
            given = {"viscosity": viscosity, "duration": 1.0, "steps": steps}
            ours = partial(NavierStokes2D(viscosity).solve, duration=1.0, steps=steps)
            solvers = {
                "ours": ours,
                "torch-cfd": partial(torch_cfd, **given),
                "torch-cfd, mended": partial(torch_cfd, mended=True, **given),
            }
            for solver, solve in solvers.items():
                rows.append({"points": str(n), "flow": name, "solver": solver, **measure(solve, start, exact)})
                print(rows[-1], flush=True)
    results = pd.DataFrame(rows)
    results.to_csv(HERE / "solvers.csv", index=False, float_format="%.4g")
    for name in ("error", "double", "cpu_s"):
        results[name] = [f"{value:.2g}" for value in results[name]]
    replace_table(HERE / "README.md", markdown(results, digits=(0,) * 6), name="solvers")


if __name__ == "__main__":
    main()
