"""Orders of convergence, both directions, and the count of evaluations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from scif.core import Karras, Uniform, solve

X = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
FIXED = ["euler", "midpoint", "heun"]


def velocity(x: Tensor, t: Tensor) -> Tensor:
    """The solution is ``x(t) = x(0) exp(t + t^2)``."""
    return (1.0 + 2.0 * t).unsqueeze(1) * x


def factor(t_start: float, t_end: float) -> float:
    return math.exp(t_end + t_end**2 - t_start - t_start**2)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
@pytest.mark.parametrize(("t_start", "t_end"), [(1.0, 0.0), (0.0, 1.0)])
def test_order_of_convergence(method: str, order: int, t_start: float, t_end: float) -> None:
    exact = factor(t_start, t_end) * X
    errors = []
    for n in (80, 160):
        grid = Uniform().grid(n, dtype=torch.float64)
        solution = solve(velocity, X, grid=grid, t_start=t_start, t_end=t_end, method=method)
        errors.append((solution.x - exact).abs().max().item())
        assert solution.num_evaluations == order * n
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("t_start", "t_end"), [(1.0, 0.0), (0.0, 1.0), (0.3, 0.9)])
def test_adaptive_meets_its_tolerance(t_start: float, t_end: float) -> None:
    exact = factor(t_start, t_end) * X
    loose, tight = (
        solve(velocity, X, t_start=t_start, t_end=t_end, method="adaptive", rtol=tolerance, atol=tolerance)
        for tolerance in (1e-4, 1e-10)
    )
    torch.testing.assert_close(loose.x, exact, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(tight.x, exact, rtol=1e-8, atol=1e-8)
    assert loose.num_evaluations < tight.num_evaluations


@pytest.mark.parametrize("method", [*FIXED, "adaptive"])
def test_evaluations_are_counted_and_times_stay_inside(method: str) -> None:
    calls: list[Tensor] = []

    def watched(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return velocity(x, t)

    options = {} if method == "adaptive" else {"grid": Karras().grid(7)}
    solution = solve(watched, X, method=method, **options)
    assert solution.num_evaluations == len(calls)
    assert all(t.shape == (2,) and bool(((t >= 0) & (t <= 1)).all()) for t in calls)


@pytest.mark.parametrize("method", ["heun", "midpoint", "adaptive"])
def test_there_and_back(method: str) -> None:
    options = {} if method == "adaptive" else {"grid": Uniform().grid(400, dtype=torch.float64)}
    there = solve(velocity, X, t_start=1.0, t_end=0.0, method=method, **options).x
    back = solve(velocity, there, t_start=0.0, t_end=1.0, method=method, **options).x
    torch.testing.assert_close(back, X, rtol=1e-3, atol=1e-3)


def test_grid_order_does_not_matter_and_parts_compose() -> None:
    grid = Uniform().grid(8, dtype=torch.float64)
    whole = solve(velocity, X, grid=grid).x
    assert torch.equal(solve(velocity, X, grid=grid.flip(0)).x, whole)
    half = solve(velocity, X, grid=grid, t_end=0.5)
    assert half.num_evaluations == 4
    torch.testing.assert_close(solve(velocity, half.x, grid=grid, t_start=0.5).x, whole)


@pytest.mark.parametrize("method", [*FIXED, "adaptive"])
def test_differentiable_in_the_state(method: str) -> None:
    options = {} if method == "adaptive" else {"grid": Uniform().grid(200, dtype=torch.float64)}
    x = X.clone().requires_grad_()
    solve(velocity, x, method=method, **options).x.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(X, factor(1.0, 0.0)), rtol=0.03, atol=0)


@pytest.mark.parametrize("method", [*FIXED, "adaptive"])
def test_single_precision_and_condition(method: str) -> None:
    options = {} if method == "adaptive" else {"grid": Uniform().grid(20)}
    x = X.float()
    end = solve(lambda x, t, *, shift: shift.expand_as(x), x, method=method, shift=torch.tensor(2.0), **options).x
    assert end.dtype == torch.float32
    torch.testing.assert_close(end, x - 2.0)


def test_bad_arguments() -> None:
    grid = Uniform().grid(4)
    with pytest.raises(ValueError, match="needs grid="):
        solve(velocity, X)
    with pytest.raises(ValueError, match="adaptive method chooses its own steps"):
        solve(velocity, X, grid=grid, method="adaptive")
    with pytest.raises(ValueError, match="method is 'rk4'"):
        solve(velocity, X, grid=grid, method="rk4")
    with pytest.raises(ValueError, match="t_start or t_end has values"):
        solve(velocity, X, grid=grid, t_start=2.0)
    with pytest.raises(ValueError, match="does not hold both"):
        solve(velocity, X, grid=grid, t_end=0.1)
    with pytest.raises(ValueError, match="does not hold both"):
        solve(velocity, X, grid=Karras().grid(4)[1:])
    with pytest.raises(ValueError, match="rtol"):
        solve(velocity, X, method="adaptive", rtol=-1.0)
