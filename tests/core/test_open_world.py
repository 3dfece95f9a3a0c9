"""Own channels, networks and objectives are first-class, and every stumble of a first attempt is one clear sentence."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import scif.core
from scif.core import ConsistencyFunction, InverseConsistency, Velocity, fit, mean, transport
from scif.core.noise import (
    NOISE_CHANNELS,
    Binomial,
    CorrelatedGaussian,
    Equivalent,
    Gaussian,
    Jacobi,
    Multinomial,
    NoiseModel,
    Poisson,
    PoissonGaussian,
    Simulator,
    noise_channel,
    register_channel,
    registry,
)
from scif.nn import TimeMLP

X1 = torch.rand(40, 2, generator=torch.Generator().manual_seed(0))


class Laplace(NoiseModel):
    """All that a channel needs: draws."""

    elementwise = True

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.register_buffer("scale", torch.as_tensor(scale))

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        magnitude = -self.scale * torch.log1p(-torch.rand(x0.shape, generator=generator, dtype=x0.dtype))
        return x0 + magnitude * (2 * torch.randint(2, x0.shape, generator=generator) - 1)


class Unseeded(NoiseModel):
    """As a beginner writes it."""

    def sample(self, x0: Tensor) -> Tensor:
        return x0 + torch.randn_like(x0)


def test_draws_are_enough_for_moments() -> None:
    x0 = torch.arange(3.0).expand(500, 3)
    moments = Laplace(0.5).moments(x0)
    torch.testing.assert_close(moments.mean.mean(0), torch.arange(3.0), atol=0.01, rtol=0)
    torch.testing.assert_close(moments.variance.mean(0), torch.full((3,), 0.5), atol=0.02, rtol=0)
    assert torch.equal(Laplace(0.5).moments(x0).mean, moments.mean)
    chained = (Laplace(0.5) @ Gaussian(0.3)).moments(x0)
    torch.testing.assert_close(chained.variance.mean(0), torch.full((3,), 0.59), atol=0.02, rtol=0)


def test_draws_that_are_not_finite_are_named() -> None:
    class Careless(NoiseModel):
        def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
            return x0 + torch.randint(2, x0.shape, generator=generator).log()

    with pytest.raises(ValueError, match="Careless.sample gives values that are not finite"):
        Careless().moments(X1)


def test_large_signals_get_fewer_draws() -> None:
    calls = []

    class Counting(NoiseModel):
        def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
            calls.append(1)
            return x0

    for size, draws in ((10, 256), (20_000, 100), (10**6, 16)):
        calls.clear()
        Counting().moments(torch.zeros(size, 1))
        assert len(calls) == draws


def test_draws_are_enough_to_train() -> None:
    noise = Laplace(0.1)
    model = ConsistencyFunction.calibrated(TimeMLP(2, hidden=4, depth=1), X1, noise)
    assert fit(model, InverseConsistency(noise), X1, max_steps=2, batch_size=40)(X1, 1.0).isfinite().all()


def test_a_channel_without_generator_draws_and_says_why_it_cannot_be_repeated() -> None:
    assert Unseeded().sample(X1).shape == X1.shape
    with pytest.raises(TypeError, match=r"Unseeded.sample takes no generator.*generator=None.*torch.randn\(x0.shape"):
        Unseeded().sample(X1, generator=torch.Generator())


class Concatenates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.linear(torch.cat([x, t], 1))


class Labelled(Concatenates):
    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return x + label


NET = TimeMLP(2, hidden=4, depth=1)
STUMBLES: dict[str, tuple[Callable[[], Any], str]] = {
    "plain network": (lambda: ConsistencyFunction(nn.Linear(2, 2))(X1, 1.0), r"forward\(self, x, t\)"),
    "plain velocity": (lambda: Velocity(nn.Linear(2, 2))(X1, 1.0), r"forward\(self, x, t\)"),
    "plain model": (lambda: InverseConsistency(Gaussian(0.2))(nn.Linear(2, 2), X1), r"forward\(self, x, t\).*Velocity"),
    "plain function": (lambda: transport(lambda x: x, X1), r"called as <lambda>\(x, t\)"),
    "missing condition": (lambda: ConsistencyFunction(NET)(X1, 1.0, label=X1), r"called as TimeMLP\(x, t, label=\)"),
    "unshaped t": (lambda: ConsistencyFunction(Concatenates())(X1, 1.0), r"t.reshape\(-1, 1\)"),
    "double data": (lambda: ConsistencyFunction(NET)(X1.double(), 1.0), r"pass x.to\(torch.float32\)"),
    "double fit": (
        lambda: fit(ConsistencyFunction(NET), InverseConsistency(Gaussian(0.2)), X1.double(), max_steps=1),
        r"pass x.to\(torch.float32\)",
    ),
    "array in fit": (
        lambda: fit(ConsistencyFunction(NET), InverseConsistency(Gaussian(0.2)), X1.numpy(), max_steps=1),
        r"torch.as_tensor\(x1, dtype=torch.float32\)",
    ),
    "condition of arrays": (
        lambda: fit(NET, InverseConsistency(Gaussian(0.2)), {"x1": X1, "label": np.zeros(40)}, max_steps=1),
        r"torch.as_tensor\(label",
    ),
    "array in calibrated": (lambda: ConsistencyFunction.calibrated(NET, X1.numpy(), Gaussian(0.2)), r"torch.as_tensor"),
    "array in velocity": (lambda: Velocity.calibrated(NET, X1.numpy(), Gaussian(0.2)), r"torch.as_tensor"),
    "array in a model": (lambda: ConsistencyFunction(NET)(X1.numpy(), 1.0), r"torch.as_tensor"),
    "array in a channel": (lambda: Gaussian(0.2).sample(X1.numpy()), r"torch.as_tensor"),
    "array in an estimate": (lambda: mean(ConsistencyFunction(NET), X1.numpy()), r"torch.as_tensor"),
}


@pytest.mark.parametrize("stumble", STUMBLES)
def test_a_first_attempt_is_told_the_mend(stumble: str) -> None:
    attempt, message = STUMBLES[stumble]
    with pytest.raises((TypeError, ValueError), match=message):
        attempt()


def test_errors_inside_a_network_are_its_own() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            raise TypeError("inside")

    with pytest.raises(TypeError, match="^inside$"):
        ConsistencyFunction(Broken())(X1, 1.0)


DIAGONAL = CorrelatedGaussian(torch.eye(3) + torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 0, 0]]), 1.0)


@pytest.mark.parametrize(
    ("channel", "mirrored", "transposed"),
    [
        (Gaussian(1.0), (0, 1), ((0, 1),)),
        (Laplace(1.0), (0, 1), ((0, 1),)),
        (Jacobi(), (0, 1), ((0, 1),)),
        (Gaussian(torch.ones(3, 1, 1)), (0, 1), ((0, 1),)),
        (Gaussian(torch.ones(5, 1)), (1,), ()),
        (Gaussian(torch.ones(4, 5)), (), ()),
        (Gaussian(2.0) @ Poisson(0.5), (0, 1), ((0, 1),)),
        (CorrelatedGaussian(torch.ones(3, 3), 1.0), (0, 1), ((0, 1),)),
        (CorrelatedGaussian(torch.ones(1, 3), 1.0), (0, 1), ()),
        (DIAGONAL, (), ((0, 1),)),
        (CorrelatedGaussian(torch.ones(1, 3), 1.0) @ Gaussian(1.0), (0, 1), ()),
        (Multinomial(), (), ()),
        (Simulator(lambda x: x), (), ()),
        (Simulator(lambda x: x, elementwise=True), (0, 1), ((0, 1),)),
        (Gaussian(1.0) @ Simulator(lambda x: x), (), ()),
        (Unseeded(), (), ()),
    ],
    ids=[str(k) for k in range(16)],
)
def test_symmetries_are_properties_of_the_channel(
    channel: NoiseModel, mirrored: tuple[int, ...], transposed: tuple[tuple[int, int], ...]
) -> None:
    assert channel.mirror_axes(2) == mirrored
    assert channel.transpose_axes(2) == transposed


def test_what_a_channel_says_of_its_parts_holds_for_a_chain() -> None:
    assert (Gaussian(1.0) @ Poisson(0.5)).elementwise is True
    assert (Gaussian(1.0) @ Unseeded()).elementwise is None
    assert (Unseeded() @ Multinomial()).elementwise is False
    assert (Gaussian(1.0) @ Gaussian(2.0)).mirrored_split
    assert not (Binomial(0.5) @ Poisson()).mirrored_split
    assert Gaussian(torch.ones(3, 1, 1)).varying_parameters(2) == {}
    assert CorrelatedGaussian(torch.ones(3, 3), torch.ones(4, 5)).varying_parameters(2) == {"sigma": (4, 5)}


def test_an_offset_is_taken_out_by_the_channel_that_has_one() -> None:
    channel, offset = PoissonGaussian(2.0, 3.0, offset=100.0).without_offset()
    assert (float(channel.offset), float(offset)) == (0.0, 100.0)
    same = Laplace(1.0)
    assert same.without_offset() == (same, 0.0)


def test_an_own_channel_says_what_it_merges_with() -> None:
    class Doubling(Gaussian):
        def followed_by(self, after: NoiseModel) -> Equivalent | None:
            return Equivalent(Gaussian(7.0), lambda x0: 2 * x0) if isinstance(after, Laplace) else None

    chain = Laplace(1.0) @ Doubling(1.0)
    x1 = torch.ones(1, 1)
    assert torch.equal(chain.log_prob(x1, x1), Gaussian(7.0).log_prob(x1, 2 * x1))


@pytest.mark.parametrize(
    "channel",
    [Gaussian(2.0), Laplace(1.5), Jacobi(), Multinomial(), DIAGONAL, Gaussian(1.0) @ Poisson(0.5) @ Poisson()],
)
def test_arguments_make_a_channel_again(channel: NoiseModel) -> None:
    again = type(channel)(**channel.arguments())
    assert repr(again) == repr(channel)
    state, other = again.state_dict(), channel.state_dict()
    assert state.keys() == other.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, other[name], atol=1e-6, rtol=0)


def test_a_channel_that_forgets_an_argument_is_told(tmp_path: Path) -> None:
    class Forgets(NoiseModel):
        def __init__(self, width: float) -> None:
            super().__init__()

    with pytest.raises(TypeError, match="store it as self.width"):
        Forgets(1.0).arguments()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test registers go with it."""
    known = dict(registry._CHANNELS)
    yield
    registry._CHANNELS.clear()
    registry._CHANNELS.update(known)


@pytest.mark.usefixtures("names")
def test_an_own_channel_has_a_name() -> None:
    with pytest.raises(ValueError, match=r"'laplace' is not known.*register_channel\(name, class\)"):
        noise_channel("laplace")
    assert register_channel("laplace", Laplace) is Laplace
    assert register_channel("laplace")(Laplace) is Laplace
    assert float(noise_channel("laplace", scale=0.3).scale) == pytest.approx(0.3)
    assert NOISE_CHANNELS["laplace"] is Laplace
    with pytest.raises(ValueError, match=r"belongs to .*Laplace"):
        register_channel("laplace", Unseeded)
    with pytest.raises(ValueError, match="belongs to scif.core.noise.gaussian.Gaussian"):
        register_channel("gaussian", Laplace)
    with pytest.raises(TypeError, match="register the class itself"):
        register_channel("one", Laplace(1.0))
    for name in ("auto", "My Name", "Upper", ""):
        with pytest.raises(ValueError, match="name is"):
            register_channel(name, Laplace)


@pytest.mark.usefixtures("names")
def test_an_installed_package_offers_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("heavy", f"{__name__}:Laplace", "scif.noise_channels")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)("here"))
    monkeypatch.setattr(sys.modules[__name__], "Laplace", Laplace, raising=False)
    monkeypatch.setattr(registry, "entry_points", lambda group, name: [entry] if name == "heavy" else [])
    assert type(noise_channel("heavy", scale=1.0)) is Laplace


ROOT = Path(scif.core.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parents[1]).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)


def _imports(path: Path) -> set[str]:
    """Modules of the core that a file imports anywhere, in functions and for types, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            longer = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (longer & set(MODULES)) or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(MODULES)


def test_no_import_circle() -> None:
    """Between plain modules: packages only gather."""
    plain = {name: ROOT.parents[1] / Path(*name.split(".")).with_suffix(".py") for name in MODULES}
    graph = {name: _imports(path) for name, path in plain.items() if path.exists()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"import circle {' -> '.join((*above, name))}"
        if name in graph and name not in done:
            for other in graph[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param([name for name in MODULES if ".noise" in name], id="noise"),
        pytest.param([name for name in MODULES if ".noise" not in name], id="rest", marks=pytest.mark.slow),
    ],
)
def test_every_module_imports_alone(modules: list[str]) -> None:
    """Each in a fresh interpreter state: a fork before anything of scif is loaded, so that torch is loaded once."""
    code = """
import os, sys, importlib, torch, lightning.pytorch
for name in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        try:
            importlib.import_module(name)
            os._exit(0)
        except BaseException as error:
            print(name, repr(error), flush=True)
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        sys.exit(1)
"""
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]
