"""``scif report``: one page on what denoising does to these counts."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from scif.cli._files import check_apart
from scif.cli._training import train_as_asked
from scif.cli.denoise import add_input, add_model, read_input

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_input(parser)
    parser.add_argument("output", type=Path, help=".html file to write: one self-contained page")
    add_model(parser)
    parser.add_argument("--clusters", help="column of obs with clusters, for the variance within them")
    parser.add_argument("--splits", type=int, default=1, help="number of random splits of the molecules (default: 1)")
    parser.add_argument(
        "--max-cells", type=int, default=2000, help="maximum number of cells in the report (default: 2000)"
    )
    parser.add_argument("--no-shuffled", action="store_true", help="skip the denoising of shuffled genes; faster")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(arguments: Namespace) -> None:
    """Train, report, write."""
    say, target = arguments.output_to, arguments.output
    _check(arguments)
    adata = read_input(arguments)
    if arguments.clusters is not None and arguments.clusters not in adata.obs:
        msg = f"--clusters {arguments.clusters} is not a column of obs, which has {', '.join(adata.obs) or 'none'}."
        raise ValueError(msg)
    arguments.signals.check()
    model = train_as_asked(arguments, adata)
    say.say("training on a part of the molecules and on shuffled genes ...")
    found = model.report(
        clusters=arguments.clusters,
        n_splits=arguments.splits,
        max_cells=arguments.max_cells,
        shuffled=not arguments.no_shuffled,
        seed=arguments.seed,
    )
    arguments.signals.check()
    found.to_html(target)
    sentences = "\n".join(f"{'ok  ' if f.good else 'look'}  {f.topic}: {f.text}" for f in found.findings())
    say.result(
        f"{sentences}\nWrote {target}",
        output=target,
        findings=[{"topic": f.topic, "good": f.good, "text": f.text} for f in found.findings()],
        values={f"{row.section}: {row.measure}": row.value for row in found.to_frame().itertuples()},
    )


def _check(arguments: Namespace) -> None:
    """Refuse before any work is done."""
    from scif._extras import require

    require("matplotlib", extra="plot", purpose="scif report")
    target = arguments.output
    if target.suffix != ".html":
        msg = f"output {target} does not end in .html, the only format that is written."
        raise ValueError(msg)
    if not target.parent.is_dir():
        msg = f"the folder {target.parent} of the output does not exist; create it first."
        raise FileNotFoundError(msg)
    if target.exists() and not arguments.overwrite:
        msg = f"output {target} exists already; choose another name or pass --overwrite."
        raise FileExistsError(msg)
    check_apart({"output": target}, [arguments.input])
    for name, least in (("splits", 1), ("max_cells", 4)):
        if getattr(arguments, name) < least:
            msg = f"--{name.replace('_', '-')} is {getattr(arguments, name)}; it must be at least {least}."
            raise ValueError(msg)
