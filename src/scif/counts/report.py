"""Record of a fit: what each stage did, how long it took, and whether it converged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pandas as pd

__all__ = ["FitReport", "StageRecord"]


@dataclass(frozen=True)
class StageRecord:
    """One stage of a fit.

    Attributes
    ----------
    stage
        Name of the stage.
    seconds
        Wall-clock seconds.
    decision
        Decision of the stage, in a few words.
    rounds
        Number of rounds of an iterative stage.
    objective
        Objective after each round.
    converged
        True if the iteration reached its tolerance; None for a stage without iterations.
    error
        Reason of a failure; empty otherwise.
    """

    stage: str
    seconds: float
    decision: str = ""
    rounds: int = 0
    objective: tuple[float, ...] = ()
    converged: bool | None = None
    error: str = ""


@dataclass(frozen=True)
class FitReport:
    """Record of a fit, one line per stage; ``to_frame()`` gives a table.

    Attributes
    ----------
    stages
        Stages in the order in which they ran.
    consistency
        How inverse consistency was imposed: ``"em"``, ``"gradient"``, ``"both"`` or ``"none"``.
    interrupted
        True if the fit was interrupted.

    Examples
    --------
    >>> FitReport((StageRecord("network", 1.5, "9 epochs"),), "em")
    Fit with consistency by em, 1.5 s
      network                1.5 s  9 epochs
    """

    stages: tuple[StageRecord, ...]
    consistency: str
    interrupted: bool = False

    @property
    def seconds(self) -> float:
        """Total seconds of all stages."""
        return sum(stage.seconds for stage in self.stages)

    def __getitem__(self, stage: str) -> StageRecord:
        """The last record of a stage, by name."""
        for record in reversed(self.stages):
            if record.stage == stage:
                return record
        msg = f"{stage!r} is not a stage of this fit, which has {', '.join(record.stage for record in self.stages)}."
        raise KeyError(msg)

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per stage."""
        rows = [
            asdict(stage) | {"objective": stage.objective[-1] if stage.objective else None} for stage in self.stages
        ]
        return pd.DataFrame(rows).set_index("stage")

    def to_json(self) -> str:
        """Convert to JSON text for :meth:`from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> FitReport:
        """Read the text of :meth:`to_json`."""
        facts = json.loads(text)
        stages = tuple(StageRecord(**(stage | {"objective": tuple(stage["objective"])})) for stage in facts["stages"])
        return cls(stages, facts["consistency"], facts["interrupted"])

    def __repr__(self) -> str:
        head = f"Fit with consistency by {self.consistency}, {self.seconds:.1f} s"
        lines = [head + (", interrupted" if self.interrupted else "")]
        for stage in self.stages:
            said = f"failed: {stage.error}" if stage.error else stage.decision
            rounds = f" ({stage.rounds} rounds{'' if stage.converged else ', not converged'})" if stage.rounds else ""
            lines.append(f"  {stage.stage:<19s}{stage.seconds:7.1f} s  {said}{rounds}")
        return "\n".join(lines)
