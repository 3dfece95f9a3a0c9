"""How training went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scif.pl._style import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["learning_curve"]

_CURVES = {
    "train_loss": ("training objective", "#4477aa"),
    "validation_loss": ("Poisson NLL of held-out molecules", "#ee6677"),
}


def learning_curve(history: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the training objective and the score of held-out molecules over epochs.

    The two have different scales, so each has a panel. The best epoch of the held-out score is marked: after it
    the model starts to fit the noise.

    Parameters
    ----------
    history
        ``model.history`` of a trained model.

    Returns
    -------
    The figure; save it with ``figure.savefig(...)``.

    Raises
    ------
    ValueError
        If there is nothing to draw.

    Examples
    --------
    >>> import pandas as pd
    >>> from scif.pl import learning_curve
    >>> figure = learning_curve({"train_loss": pd.DataFrame({"train_loss": [3.0, 2.0, 1.5]})})
    >>> figure.axes[0].get_ylabel()
    'training objective'
    """
    from matplotlib.figure import Figure

    present = [name for name in _CURVES if name in history and len(history[name])]
    if not present:
        msg = f"history has none of {list(_CURVES)} but {list(history)}; pass model.history of a trained model."
        raise ValueError(msg)
    with style():
        figure = Figure(figsize=(3.4 * len(present), 2.4), layout="constrained")
        for ax, name in zip(figure.subplots(1, len(present), squeeze=False)[0], present, strict=True):
            label, colour = _CURVES[name]
            curve = history[name][name].astype(float).dropna()  # scvi-tools stores objects
            ax.plot(curve.index, curve, color=colour, linewidth=1.4)
            ax.set(xlabel="epoch", ylabel=label)
            ax.margins(x=0.02)
            if name == "validation_loss":
                best = curve.index[int(np.argmin(curve))]
                ax.plot(best, curve[best], "o", color=colour, markersize=4)
                ax.annotate(
                    f"best, epoch {best}",
                    (best, curve[best]),
                    (0, -6),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                )
                ax.margins(y=0.15)
    return figure
