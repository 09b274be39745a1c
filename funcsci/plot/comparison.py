"""Figures of two programs that compute the same."""

import itertools
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci.plot.panels import positive, say_if_empty
from funcsci.plot.style import BLUE, ORANGE, name_axes


def comparison_figure(
    losses: Mapping[str, ArrayLike],
    seconds: Mapping[str, float],
    peaks: Mapping[str, float],
    *,
    title: str,
) -> Figure:
    """The losses of two programs on each other, their difference, and bars of what a step costs.

    Args:
        losses: the losses of the two programs by their names, each of shape `(steps,)`.
        seconds: the time of a step by the name of the form, which begins with the name of its program; there
            is no panel where there are none.
        peaks: the peak memory in bytes, likewise.
        title: stands above the figure.

    Returns:
        A figure. It belongs to no window; notebooks show it, `savefig` writes it.
    """
    times = {form: 1e3 * one for form, one in seconds.items()}
    sizes = {form: 1e-6 * one for form, one in peaks.items()}
    rows = 2 if times or sizes else 1
    figure = Figure(figsize=(10.0, 3.4 * rows), layout="constrained")
    figure.suptitle(title, fontsize=11)
    # Each row is laid out by itself, for the bars have long names.
    panels = itertools.chain.from_iterable(
        row.subplots(1, 2) for row in figure.subfigures(rows, 1, squeeze=False).flat
    )
    _draw_losses(next(panels), losses)
    _draw_difference(next(panels), *losses.values())
    styles = dict(zip(losses, (BLUE, ORANGE), strict=True))
    for name, unit, values in (("Time of a step", "ms", times), ("Peak memory of tensors", "MB", sizes)):
        if values:
            _draw_bars(next(panels), name, unit, values, styles)
    for unused in panels:
        unused.set_axis_off()
    return figure


def _draw_losses(axes: Axes, losses: Mapping[str, ArrayLike]) -> None:
    """The second broad and pale, and the first upon it."""
    (upper, first), (lower, second) = losses.items()
    axes.plot(np.asarray(second), color=ORANGE, linewidth=4.5, alpha=0.4, label=lower)
    axes.plot(np.asarray(first), color=BLUE, linewidth=1.1, label=upper)
    if (np.asarray(first) > 0).all() and (np.asarray(second) > 0).all():
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=9)
    name_axes(axes, "Loss", "step", "")


def _draw_difference(axes: Axes, first: ArrayLike, second: ArrayLike) -> None:
    """Points, for where the losses are equal to the last bit there is nothing to draw."""
    axes.semilogy(
        positive(np.asarray(first) - np.asarray(second)), "o", color=BLUE, markersize=3, label="difference"
    )
    say_if_empty(axes, np.asarray(first) - np.asarray(second))
    name_axes(axes, "Difference of the losses", "step", "")


def _draw_bars(
    axes: Axes, name: str, unit: str, values: Mapping[str, float], styles: Mapping[str, str]
) -> None:
    """A bar with its number for each form, from above, in the colour of its program."""
    colors = [next(color for style, color in styles.items() if form.startswith(style)) for form in values]
    drawn = axes.barh(list(values), list(values.values()), color=colors, height=0.7)
    axes.bar_label(drawn, fmt="%.3g", padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    name_axes(axes, name, unit, "")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelsize=8)
