from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn

from scif.core import ConsistencyFunction, InverseConsistency, MuonAdamW, fit
from scif.core.noise import Gaussian
from scif.nn import UNet

GENERATOR = torch.Generator().manual_seed(0)


def make_network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))


X = torch.randn(5, 2, 9, 9, generator=GENERATOR)


def steps(network: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    for k in range(number):
        optimizer.zero_grad()
        (network(X) - k % 3).square().mean().backward()
        optimizer.step()


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_kernels_move_as_by_muon_and_all_else_as_by_adamw() -> None:
    network = make_network()
    ours = MuonAdamW(network.parameters(), lr=0.02, weight_decay=0.1)
    # the same kernels as matrices, and everything else, in torch's optimisers; the last kernel has one row
    kernels = [network[0].weight, network[2].weight]
    others = [network[0].bias, network[2].bias, *network[4].parameters()]
    matrices = [nn.Parameter(p.detach().flatten(1).clone()) for p in kernels]
    rest = [nn.Parameter(p.detach().clone()) for p in others]
    muon = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest, lr=0.02, weight_decay=0.1, fused=True)
    for k in range(4):
        ours.zero_grad()
        (network(X) - k).square().mean().backward()
        for copied, p in zip(matrices + rest, kernels + others, strict=True):
            copied.grad = p.grad.view_as(copied).clone()
        for optimizer in (ours, muon, adamw):
            optimizer.step()
    for copied, p in zip(matrices + rest, kernels + others, strict=True):
        assert torch.equal(copied, p.view_as(copied))


def test_all_directions_of_a_kernel_move_alike() -> None:
    kernel = nn.Parameter(torch.zeros(6, 3, 3, 3))
    optimizer = MuonAdamW([kernel], lr=1.0, weight_decay=0.0)
    singular = torch.logspace(0, -2, 6)  # one direction dominates the gradient a hundredfold
    u, v = (torch.linalg.qr(torch.randn(n, 6, generator=GENERATOR)).Q for n in (6, 27))
    kernel.grad = (u * singular @ v.T).view_as(kernel)
    optimizer.step()
    moved = torch.linalg.svdvals(kernel.detach().flatten(1)) / (0.2 * 27**0.5)
    assert float(moved.max()) < 1.3
    assert float(moved.min()) > 0.3


def test_weights_in_another_memory_order_move_the_same() -> None:
    networks = [make_network(), make_network().to(memory_format=torch.channels_last)]
    for network in networks:
        steps(network, MuonAdamW(network.parameters(), lr=0.01), 3)
    assert torch.allclose(*(weights(network) for network in networks), rtol=0.02, atol=1e-3)
    assert not torch.allclose(weights(networks[0]), weights(make_network()), rtol=0.02, atol=1e-3)


def test_a_state_goes_on_where_it_was() -> None:
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=0.01)
    steps(network, optimizer, 3)
    again = copy.deepcopy(network)
    resumed = MuonAdamW(again.parameters(), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert resumed.param_groups[0]["lr"] == 0.01
    steps(network, optimizer, 3)
    steps(again, resumed, 3)
    assert torch.equal(weights(network), weights(again))


def test_a_schedule_reaches_both_parts() -> None:
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(step == 0))
    steps(network, optimizer, 1)
    schedule.step()
    before = weights(network)
    steps(network, optimizer, 2)
    assert not torch.equal(before, weights(make_network()))
    assert torch.equal(before, weights(network))


def test_only_what_has_a_gradient_moves() -> None:
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=0.01, weight_decay=0.0)
    optimizer.step()
    assert torch.equal(weights(network), weights(make_network()))
    network[2].weight.grad = torch.ones_like(network[2].weight)
    optimizer.step()
    assert torch.equal(network[0].weight, make_network()[0].weight)
    assert not torch.equal(network[2].weight, make_network()[2].weight)


@pytest.mark.parametrize(
    "shapes", [[(3,), (4, 5)], [(4, 2, 3)], [(1, 7, 2), (4, 2, 3)]], ids=["no kernels", "kernels alone", "one row"]
)
def test_any_mix_of_weights_is_taken(shapes: list[tuple[int, ...]]) -> None:
    params = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimizer = MuonAdamW(params, lr=0.1, weight_decay=0.0)
    loss = optimizer.step(lambda: _backward(params))
    assert float(loss) == sum(p.numel() for p in params)
    assert all(float(p.max()) < 1.0 for p in params)


def test_complex_weights_go_to_adamw() -> None:
    weight = nn.Parameter(torch.ones(3, 4, 2, dtype=torch.complex64))
    optimizer = MuonAdamW([weight], lr=0.1)
    weight.abs().square().sum().backward()
    optimizer.step()
    assert weight.is_complex()
    assert bool((weight.abs() < 1.0).all())


def train(**options: Any) -> ConsistencyFunction:
    """A small U-Net, trained by the engine."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConsistencyFunction(UNet(1, widths=(2, 4)), data_scale=2.0)
    x1 = 2.0 * torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    options = {"max_steps": 8, "batch_size": 8, "warmup_steps": 2, "optimizer": "muon", "judged_rows": 40} | options
    fit(model, InverseConsistency(Gaussian(1.0)), x1, **options)
    return model


@pytest.mark.trains
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    keep = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    whole = train(callbacks=[keep])
    keep = pl.callbacks.ModelCheckpoint(tmp_path, every_n_train_steps=3)
    resumed = train(callbacks=[keep], resume_from=tmp_path / "step=3.ckpt")
    assert torch.equal(weights(whole), weights(resumed))
    assert not torch.equal(weights(whole), weights(train(optimizer="adamw")))


@pytest.mark.trains
def test_mixed_precision_trains() -> None:
    full, mixed = (weights(train(precision=precision)) for precision in ("32-true", "bf16-mixed"))
    assert mixed.dtype == torch.float32
    assert not torch.equal(full, mixed)
    assert torch.allclose(full, mixed, atol=0.02)


def _backward(params: list[nn.Parameter]) -> Tensor:
    loss = torch.stack([p.sum() for p in params]).sum()
    loss.backward()
    return loss
