"""Figures of a training run."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci.plot.style import BLUE, ORANGE, name_axes

SPAN = 10
"""Numbers that are positive and reach over this factor are drawn on a logarithmic axis."""


def training_figure(
    loss: ArrayLike, reports: Mapping[str, ArrayLike], *, best: tuple[str, int] | None = None, title: str
) -> Figure:
    """The loss of each step with the means of the reports, and a panel for each other number of the reports.

    Args:
        loss: shape `(steps,)`.
        reports: the numbers of the reports by name, each of shape `(reports,)`; `step` is the number of
            steps taken, `loss` the mean since the report before.
        best: the name of the number that was monitored and the step of its best report, which is marked.
        title: stands above the figure.

    Returns:
        A figure. It belongs to no window; notebooks show it, `savefig` writes it.
    """
    others = [name for name in reports if name not in ("step", "loss")]
    figure = Figure(figsize=(4.2 * (1 + len(others)), 3.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(1, 1 + len(others), squeeze=False)[0]
    losses = np.asarray(loss)
    panels[0].plot(np.arange(len(losses)), losses, color=BLUE, linewidth=0.6, alpha=0.4, label="each step")
    for panel, name in zip(panels, ["loss", *others], strict=True):
        values = np.asarray(reports.get(name, []))
        steps = np.asarray(reports.get("step", []))
        panel.plot(
            steps, values, color=BLUE, linewidth=1.5, label="reports", marker="o" if len(values) < 20 else ""
        )
        if best is not None and best[0] == name and best[1] in steps:
            panel.plot(best[1], values[steps == best[1]][0], "o", color=ORANGE, markersize=8, label="best")
            panel.legend(frameon=False, fontsize=9)
        shown = np.concatenate([values, losses]) if name == "loss" else values
        if len(shown) and 0 < SPAN * np.min(shown) < np.max(shown):
            panel.set_yscale("log")
        name_axes(panel, name, "step", "")
    panels[0].legend(frameon=False, fontsize=9)
    return figure
