"""``python -m benchmarks.soak``: random valid calls for some minutes; invariants hold and memory does not grow."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import logging
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.report import markdown, provenance, replace_table
from benchmarks.soak.counts import counts_round
from benchmarks.soak.fields import fluids_round, images_round

HERE = Path(__file__).parent
#: Kinds of rounds, and how often each is chosen.
ROUNDS = {"counts": (counts_round, 0.7), "images": (images_round, 0.15), "fluids": (fluids_round, 0.15)}


def resident_mb() -> float:
    """Memory of this process now, in MiB (Linux), without what was freed and only kept for later (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def soak(minutes: float, *, first: int, only: int | None) -> dict[str, object]:
    """Rounds until the time is over; each has a seed of its own, by which it can be repeated."""
    end, done, failed, memory, seed = time.monotonic() + 60 * minutes, {}, [], [], first
    state = (torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads())  # noqa: NPY002
    while time.monotonic() < end or only is not None:
        rng = np.random.default_rng(seed if only is None else only)
        kind = str(rng.choice(list(ROUNDS), p=[share for _, share in ROUNDS.values()]))
        with tempfile.TemporaryDirectory() as folder:
            try:
                ROUNDS[kind][0](rng, Path(folder), done)
            except Exception as error:  # noqa: BLE001 (what goes wrong is what is looked for)
                failed.append({"seed": seed, "kind": kind, "error": f"{type(error).__name__}: {error}"[:300]})
                print(failed[-1], flush=True)
                if only is not None:
                    traceback.print_exc()
        done["rounds"] = done.get("rounds", 0) + 1
        gc.collect()
        memory.append(resident_mb())
        if only is not None:
            break
        seed += 1
    now = (torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads())  # noqa: NPY002
    kept = torch.equal(state[0], now[0]) and bool((state[1] == now[1]).all()) and state[2] == now[2]
    half = memory[len(memory) // 2 :]
    growth = float(np.polyfit(np.arange(len(half)), half, 1)[0]) if len(half) > 2 else float("nan")
    return {
        "minutes": minutes,
        "seeds": f"{first}-{seed - 1}",
        "calls": done,
        "failed": failed,
        "global state kept": kept,
        "memory after the first tenth (MiB)": memory[len(memory) // 10],
        "memory at the end (MiB)": memory[-1],
        "growth in the second half (MiB a round)": growth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--first", type=int, default=0, help="seed of the first round")
    parser.add_argument("--only", type=int, help="run the round of this seed, and show where an error arose")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("scvi").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    found = soak(options.minutes, first=options.first, only=options.only)
    print(json.dumps(found, indent=1), flush=True)
    if options.only is not None:
        return
    (options.out / "results.json").write_text(json.dumps(found | provenance(), indent=1) + "\n")
    calls = found.pop("calls")
    failed = found.pop("failed")
    lines = {"rounds": calls.pop("rounds"), "calls": sum(calls.values()), "rounds that failed": len(failed)} | found
    table = pd.DataFrame(
        {
            "what": [*lines, *(f"calls: {name}" for name in calls)],
            "": [f"{v:.3g}" if isinstance(v, float) else str(v) for v in [*lines.values(), *calls.values()]],
        }
    )
    replace_table(options.out / "README.md", markdown(table, digits=(0, 0)))


if __name__ == "__main__":
    main()
