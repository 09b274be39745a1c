"""Panels that several figures have: curves on a logarithmic axis, maps, the history of a loss."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from funcsci.plot.style import CYCLE, GREY, name_axes

FEW = 20
"""A history shorter than this is drawn with markers."""
DECADES = 6
"""The most a logarithmic colour scale shows below its top: less is one colour."""
STEADY = 1e-6
"""A relative change smaller than this is drawn as none, so that round-off does not fill a panel."""
NO_COLOR = "#dddddd"
"""Where a map has no number."""


class Course(NamedTuple):
    """The history of a solve.

    Attributes:
        loss: of each entry, shape `(entries,)`.
        seconds: when it was known, shape `(entries,)`.
    """

    loss: ArrayLike
    seconds: ArrayLike


def panels(title: str) -> tuple[Figure, tuple[Axes, Axes, Axes]]:
    """A figure of three panels side by side."""
    figure = Figure(figsize=(12.5, 3.7), layout=ConstrainedLayoutEngine(w_pad=0.08))
    figure.suptitle(title, fontsize=11)
    first, second, third = figure.subplots(1, 3)
    return figure, (first, second, third)


def stroke(place: int) -> dict[str, Any]:
    """The colour and the dashes of one curve among many: no two of the first 24 are alike."""
    dashes = ("-", "--", "-.", ":")
    return {"color": CYCLE[place % len(CYCLE)], "linestyle": dashes[place // len(CYCLE) % len(dashes)]}


def draw_course(axes: Axes, course: Course) -> None:
    """The loss over the time it took, its entries marked where they are few."""
    marker = "o" if len(np.asarray(course.loss)) < FEW else ""
    draw_sizes(axes, course.seconds, {"loss": course.loss}, marker=marker, markersize=3.5)
    name_axes(axes, "Loss", "seconds", "mean squared residual")


def draw_sizes(axes: Axes, x: ArrayLike, curves: Mapping[str, ArrayLike], **how: Any) -> None:
    """Absolute values on a logarithmic axis, with a gap at each zero and wherever there is no number."""
    for place, (name, values) in enumerate(curves.items()):
        axes.semilogy(x, positive(values), linewidth=0.9, label=name, **stroke(place), **how)
    if say_if_empty(axes, *curves.values()):
        axes.tick_params(axis="y", which="both", left=False, labelleft=False)
        if np.size(x) > 1:
            axes.set_xlim(np.min(x), np.max(x))


def say_if_empty(axes: Axes, *values: ArrayLike) -> bool:
    """Whether nothing is above zero: the panel then says so, for an empty one would be a riddle."""
    if any(np.isfinite(positive(one)).any() for one in values):
        return False
    text = "zero everywhere" if any(np.isfinite(one).any() for one in values) else "no numbers"
    ground = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round"}
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, bbox=ground)
    return True


def draw_legend(axes: Axes, *, broad: str | None = None, beneath: bool = False) -> None:
    """The names of the curves.

    Args:
        axes: the panel.
        broad: the name of what is drawn broad and pale behind all curves; None is nothing.
        beneath: whether it stands under the panel, where many curves leave no room inside.
    """
    handles, labels = axes.get_legend_handles_labels()
    if broad is not None:
        handles.append(Line2D([], [], color=GREY, alpha=0.35, linewidth=5))
        labels.append(broad)
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 4}
    axes.legend(handles, labels, fontsize=8 if beneath else 9, frameon=False, **place if beneath else {})


def keep_steady(axes: Axes) -> None:
    """Limits under which a constant curve looks constant, whatever its round-off."""
    low, high = (float(end) for end in axes.dataLim.intervaly)
    size = max(abs(low), abs(high))
    if np.isfinite(size) and high - low < STEADY * size:
        axes.set_ylim(low - 0.1 * size, high + 0.1 * size)


def draw_map(
    figure: Figure,
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    grid: NDArray[np.float64],
    *,
    colors: tuple[str, Normalize],
    label: str = "",
) -> None:
    """A map of `grid`, shape `(ny, nx)`, with its bar of colours; grey where there is no number."""
    cmap, norm = colors
    below = norm.vmin is not None and bool((grid < norm.vmin).any())
    image = axes.pcolormesh(
        x,
        y,
        grid,
        cmap=colormaps[cmap].with_extremes(bad=NO_COLOR),
        norm=norm,
        shading="nearest",
        rasterized=True,  # also in a file of lines and curves, which would hold a polygon for each point
    )
    bar = figure.colorbar(image, ax=axes, label=label, extend="min" if below else "neither")
    bar.outline.set_visible(False)
    axes.set(xlim=(np.min(x), np.max(x)), ylim=(np.min(y), np.max(y)))


def field_colors(values: NDArray[np.float64]) -> tuple[str, Normalize]:
    """A colour map and its range: two hues about zero where both signs count, else one scale."""
    found = values[np.isfinite(values)]
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
    size = max(abs(low), abs(high))
    if min(-low, high) > 0.1 * size:
        return "RdBu_r", Normalize(-size, size)
    if high - low <= STEADY * size:
        low, high = low - 0.1 * (size or 1.0), high + 0.1 * (size or 1.0)
    return "viridis", Normalize(low, high)


def log_colors(values: NDArray[np.float64]) -> tuple[str, Normalize]:
    """A colour map and its range: a logarithmic range that single points near zero do not stretch."""
    found = values[np.isfinite(values) & (values > 0)]
    top = float(found.max()) if found.size else 1.0
    low = max(float(np.quantile(found, 0.02)), top * 10.0**-DECADES) if found.size else 0.1
    return "magma", LogNorm(low if low < top else top / 10, top)


def positive(values: ArrayLike) -> NDArray[np.float64]:
    """Sizes that a logarithmic axis can show: nan in place of zero and of what is not finite."""
    found = np.abs(np.asarray(values, dtype=np.float64))
    return np.where((found > 0) & np.isfinite(found), found, np.nan)
