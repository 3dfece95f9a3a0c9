"""The flows of the benchmark, and their training and test fields."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from scif.fields.fluids import FlowCase, FlowPairs, NavierStokesChannel, laminar, turbulent

__all__ = ["CASES", "Task", "make_task"]

CASES = ("laminar", "turbulent", "laminar, 5% noise", "turbulent, 5% noise")


@dataclass(frozen=True)
class Task:
    """A flow with fields to train on, fields to judge by, and the latter on twice as many points."""

    name: str
    case: FlowCase
    train: FlowPairs
    test: FlowPairs
    doubled: FlowPairs


def make_task(name: str, *, size: int, examples: int, tests: int = 64) -> Task:
    """Simulate a case; finer grids carry turbulence of a higher Reynolds number, with a broader spectrum."""
    case = laminar() if name.startswith("laminar") else turbulent(viscosity=0.16 / size, cutoff=size // 6)
    if name.endswith("noise"):
        clean = case.draw(64, size, generator=torch.Generator().manual_seed(0))
        noisy = NavierStokesChannel(case.channel.solver, case.channel.duration, sigma=0.05 * float(clean.final.std()))
        case = replace(case, name=name, channel=noisy)

    def draw(n: int, side: int, seed: int) -> FlowPairs:
        return case.draw(n, side, generator=torch.Generator().manual_seed(seed))

    return Task(name, case, draw(examples, size, 1), draw(tests, size, 2), draw(tests, 2 * size, 2))
