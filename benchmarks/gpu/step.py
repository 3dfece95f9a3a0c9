"""One optimiser step of the count model on a GPU: precision, compilation, CUDA graphs, and the bandwidth they reach."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scif.core.ema import ExponentialAverage
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.network import CountNetwork
from scif.datasets import simulate_counts

__all__ = ["FORMS", "bandwidth", "measure"]

#: Cells x genes of a minibatch, and width of the network.
SIZES, WIDTH = ((512, 5_000), (512, 20_000), (4_096, 20_000)), 24
#: Minibatches that take turns, so that none stays in the cache; steps timed, in so many repeats.
BATCHES, STEPS, REPEATS = 8, 40, 5


@dataclass(frozen=True)
class Form:
    """How a step is run."""

    bf16: bool = False
    compiled: bool = False
    graph: bool = False


FORMS = {
    "fp32": Form(),
    "bf16": Form(bf16=True),
    "fp32, compiled": Form(compiled=True),
    "bf16, compiled": Form(bf16=True, compiled=True),
    "fp32, CUDA graph": Form(graph=True),
    "bf16, CUDA graph": Form(bf16=True, graph=True),
}


def bandwidth(device: torch.device, megabytes: int = 2048) -> float:
    """Bytes read and written a second by a copy of a large array."""
    source = torch.rand(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    return 2.0 * source.nbytes / _seconds(lambda: target.copy_(source), 20)


def measure(forms: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Milliseconds of a step of each form and size, with the bytes that its arrays must move."""
    device = torch.device("cuda")
    peak = bandwidth(device)
    for cells, genes in SIZES:
        network, batches = _prepared(cells, genes, device)
        moved = step_bytes(network, batches)
        for name in forms:
            form = FORMS[name]
            if form.compiled and (cells, genes) != SIZES[0]:
                continue  # it takes minutes
            row = {"form": name, "cells": cells, "genes": genes, "copy_bytes_s": peak, "bytes": moved}
            try:
                row["ms"] = 1e3 * _step_seconds(copy.deepcopy(network), batches, form)
            except RuntimeError as error:  # of the compiler or of what cannot be captured
                row["failed"] = str(error).splitlines()[0][:200]
            yield row


def step_bytes(network: CountNetwork, batches: list[SparseCounts]) -> float:
    """Bytes that a step moves if each array of the algorithm is read and written once for each use.

    Logits are written, read for the softmax and at the entries; shares written and read; the gradient written and read
    by two products; all in single precision, with mixed precision, too. Weights are read twice, their gradient written
    and read; the optimiser reads and writes weights and two moments, the average once more. Entries have a value and a
    column; both parts are thinned.
    """
    entries = float(np.mean([len(x.values) for x in batches]))
    dense = batches[0].num_cells * batches[0].num_genes
    weights = sum(p.numel() for p in network.parameters())
    components = network.components.numel()
    return 4 * (7 * dense + 13 * weights + components + 12 * entries)


def _prepared(cells: int, genes: int, device: torch.device) -> tuple[CountNetwork, list[SparseCounts]]:
    """A network, and minibatches of simulated cells, on the device."""
    counts = simulate_counts(2_048, genes, depth=2_000.0, truth=False, seed=0).X.astype(np.float32)
    rng = np.random.default_rng(0)
    parts = [SparseCounts.from_scipy(counts[rng.integers(counts.shape[0], size=cells)]) for _ in range(BATCHES)]
    torch.manual_seed(0)
    network = CountNetwork(genes, WIDTH)
    torch.nn.init.normal_(network.loadings, std=0.1)
    torch.nn.init.normal_(network.components, std=0.1)
    return network.to(device), [x.to(device) for x in parts]


def _step_seconds(network: CountNetwork, batches: list[SparseCounts], form: Form) -> float:
    device = network.components.device
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True, capturable=form.graph)
    average = ExponentialAverage(network, 0.98)
    generator = torch.Generator(device).manual_seed(0)
    latent: Any = torch.compile(network.latent, dynamic=True) if form.compiled else network.latent

    def learn(seen: SparseCounts, hidden: SparseCounts) -> None:
        precision: AbstractContextManager[Any] = torch.autocast("cuda", torch.bfloat16) if form.bf16 else nullcontext()
        with precision:
            loss = network.nll(latent(seen, torch.ones_like(seen.totals()), library=seen.totals()), hidden)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    def thinned(x: SparseCounts) -> tuple[SparseCounts, SparseCounts]:
        fraction = 0.5 + 0.45 * torch.rand(x.num_cells, device=device, generator=generator)
        parts = x.thin(fraction, generator=generator)
        return parts.a, parts.b

    turns = iter(range(10**9))
    if not form.graph:

        def step() -> None:
            learn(*thinned(batches[next(turns) % BATCHES]))
            average.update_parameters(network)

        return _seconds(step, STEPS)

    most = max(len(x.values) for x in batches)
    padded = [_padded(x, most) for x in batches]
    seen, hidden = (_like(padded[0]) for _ in range(2))

    def fill() -> None:
        for static, fresh in zip((seen, hidden), thinned(padded[next(turns) % BATCHES]), strict=True):
            for target, source in zip(_arrays(static), _arrays(fresh), strict=True):
                target.copy_(source)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            fill()
            learn(seen, hidden)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        learn(seen, hidden)

    def replay() -> None:
        fill()
        graph.replay()
        average.update_parameters(network)

    return _seconds(replay, STEPS)


def _padded(x: SparseCounts, entries: int) -> SparseCounts:
    """With zeros stored in the last cell, so that all minibatches have arrays of one size."""
    more = entries - len(x.values)
    starts = x.row_starts.clone()
    starts[-1] += more
    columns, values = torch.cat([x.columns, x.columns.new_zeros(more)]), torch.cat([x.values, x.values.new_zeros(more)])
    return SparseCounts(starts, columns, values, x.num_genes)


def _arrays(x: SparseCounts) -> tuple[Tensor, ...]:
    return x.row_starts, x.rows, x.columns, x.values


def _like(x: SparseCounts) -> SparseCounts:
    """The same with arrays of its own, rows included: a graph must find them where they were."""
    copied = SparseCounts(x.row_starts.clone(), x.columns.clone(), x.values.clone(), x.num_genes)
    assert copied.rows is copied.rows
    return copied


def _seconds(step: Callable[[], Any], steps: int) -> float:
    """Median over repeats of the mean seconds of a step, by events of the device, after warming up."""
    for _ in range(max(10, BATCHES)):
        step()
    found = []
    for _ in range(REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(steps):
            step()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1e3 / steps)
    return float(np.median(found))
