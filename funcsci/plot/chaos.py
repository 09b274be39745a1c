"""Figures of chaotic systems: trajectories in space, the growth of errors, how long forecasts hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci import checks
from funcsci.plot.panels import draw_legend, positive, say_if_empty, stroke
from funcsci.plot.style import BLUE, GREY, ORANGE, name_axes


def trajectories_figure(
    trajectories: Mapping[str, ArrayLike], *, coordinates: tuple[str, str, str] = ("x", "y", "z"), title: str
) -> Figure:
    """Trajectories in a space of three dimensions, and each coordinate over the steps.

    Args:
        trajectories: each of shape `(time, 3)`, by its name; the first is drawn broad and pale, and
            where each ends is marked.
        coordinates: their names.
        title: stands above the figure.

    Returns:
        A figure of a panel in space and three beside it. It belongs to no window; notebooks show it,
        `savefig` writes it. States that are no numbers are left out.

    Raises:
        ValueError: if there is no trajectory, or one is not of shape `(time, 3)`.

    Example:
        >>> import numpy as np
        >>> turn = np.linspace(0, 20, 300)
        >>> spiral = np.stack([np.cos(turn), np.sin(turn), turn], -1)
        >>> figure = trajectories_figure({"truth": spiral, "forecast": 0.9 * spiral}, title="A spiral")
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['y', 'x', 'y', 'z']
    """
    drawn = {name: np.asarray(states, dtype=np.float64) for name, states in trajectories.items()}
    if not drawn or any(one.ndim != 2 or one.shape[1] != 3 or not len(one) for one in drawn.values()):
        found = {name: one.shape for name, one in drawn.items()}
        remedy = "Draw each member of a batch by itself."
        raise ValueError(
            checks.message("hold trajectories of shape (time, 3)", "trajectories", found, remedy)
        )
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.add_gridspec(3, 2, width_ratios=[1.1, 1.0])
    space: Any = figure.add_subplot(grid[:, 0], projection="3d")
    panels = [figure.add_subplot(grid[row, 1]) for row in range(3)]
    for place, (name, states) in enumerate(drawn.items()):
        how = stroke(place) | {"linewidth": 0.9}
        if place == 0 and len(drawn) > 1:
            how = {"color": ORANGE, "linewidth": 2.4, "alpha": 0.5}
        elif place == 1:
            how |= {"color": BLUE}
        known = states[np.isfinite(states).all(-1)]
        space.plot(*known.T, **how, label=name)
        if len(known):
            space.plot(*known[-1:].T, "o", color=how["color"], markersize=5)
        for panel, values in zip(panels, states.T, strict=True):
            panel.plot(np.where(np.isfinite(values), values, np.nan), **how)
    space.set(xlabel=coordinates[0], ylabel=coordinates[1], zlabel=coordinates[2])
    space.legend(frameon=False, fontsize=9, loc="upper left")
    for panel, name in zip(panels, coordinates, strict=True):
        name_axes(panel, "", "step" if panel is panels[-1] else "", name)
        panel.sharex(panels[0])
        panel.tick_params(labelbottom=panel is panels[-1])
    return figure


def error_growth_figure(
    time: ArrayLike,
    errors: Mapping[str, ArrayLike],
    *,
    lyapunov: float,
    threshold: float | None = None,
    title: str,
) -> Figure:
    """Errors over time on a logarithmic axis, with the slope that the system itself gives them.

    Args:
        time: shape `(time,)`, in the unit of 1 / `lyapunov`.
        errors: each of the same shape, by its name, in standard deviations of the attractor.
        lyapunov: the largest Lyapunov exponent; the time is shown in units of its inverse above the panel.
        threshold: the error at which a forecast is lost; None draws none.
        title: stands above the figure.

    Returns:
        A figure of one panel. It belongs to no window; notebooks show it, `savefig` writes it.

    Raises:
        TypeError: if `lyapunov` is not a number.
        ValueError: if `lyapunov` or the threshold is not positive, or an error has not the shape of `time`.

    Example:
        >>> import numpy as np
        >>> time = np.linspace(0, 10, 50)
        >>> figure = error_growth_figure(
        ...     time, {"forecast": 1e-6 * np.exp(0.9 * time)}, lyapunov=0.9, threshold=0.4, title="Lorenz"
        ... )
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['forecast', 'growth of exp(0.9 t)', 'threshold 0.4']
    """
    checks.positive(lyapunov=lyapunov)
    if threshold is not None:
        checks.positive(threshold=threshold)
    times = np.asarray(time, dtype=np.float64)
    for name, values in errors.items():
        if np.shape(values) != times.shape:
            raise ValueError(
                f"errors must have the shape of time, {times.shape}. Got errors[{name!r}] of shape "
                f"{np.shape(values)}. Take the mean over the members first."
            )
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots()
    for place, (name, values) in enumerate(errors.items()):
        axes.semilogy(times, positive(values), linewidth=1.5, label=name, **stroke(place))
    if not say_if_empty(axes, *errors.values()):
        low, high = axes.get_ylim()
        start = 0.5 * min(float(np.nanmin(positive(values)[:1], initial=high)) for values in errors.values())
        guide = start * np.exp(lyapunov * (times - times[0]))
        shown = guide <= high
        axes.plot(times[shown], guide[shown], "--", color=GREY, label=f"growth of exp({lyapunov:.4g} t)")
        axes.set_ylim(min(low, 0.5 * start), high)
    if threshold is not None:
        axes.axhline(threshold, color=GREY, linewidth=0.9, linestyle=":", label=f"threshold {threshold:g}")
    name_axes(axes, "", "time", "error / standard deviation")

    def scaled(shown: Any) -> Any:
        return lyapunov * shown

    def unscaled(shown: Any) -> Any:
        return shown / lyapunov

    upper = axes.secondary_xaxis("top", functions=(scaled, unscaled))
    upper.set_xlabel("Lyapunov times", color=GREY, fontsize=9)
    upper.spines["top"].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def prediction_times_figure(times: Mapping[str, ArrayLike], *, title: str) -> Figure:
    """How long forecasts hold: the part of them that is still valid, over time, with the medians.

    Args:
        times: the valid prediction times of each forecaster, `(members,)`, in Lyapunov times, by its name.
        title: stands above the figure.

    Returns:
        A figure of two panels: a histogram, and the part that lasts longer than a time. It belongs to no
        window; notebooks show it, `savefig` writes it.

    Raises:
        ValueError: if there are no times, or one is no finite number.

    Example:
        >>> import numpy as np
        >>> figure = prediction_times_figure({"model": np.linspace(3, 9, 200)}, title="Lorenz")
        >>> [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
        ['model: median 6.0']
    """
    drawn = {
        name: np.sort(np.asarray(values, dtype=np.float64).reshape(-1)) for name, values in times.items()
    }
    if not drawn or any(not len(values) or not np.isfinite(values).all() for values in drawn.values()):
        remedy = "Compute them with chaos.valid_prediction_time."
        raise ValueError(checks.message("hold finite numbers for each name", "times", list(drawn), remedy))
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    counts, lasting = figure.subplots(1, 2)
    last = max(float(values[-1]) for values in drawn.values()) or 1.0
    for place, (name, values) in enumerate(drawn.items()):
        how = stroke(place)
        counts.hist(
            values, bins=np.linspace(0, last, 31).tolist(), color=how["color"], alpha=0.55, label=name
        )
        rest = 1 - np.arange(1, len(values) + 1) / len(values)
        lasting.step(
            np.r_[0, values],
            np.r_[1, rest],
            where="post",
            label=f"{name}: median {np.median(values):.1f}",
            **how,
        )
    lasting.axhline(0.5, color=GREY, linewidth=0.9, linestyle=":")
    name_axes(counts, "Valid prediction times", "Lyapunov times", "forecasts")
    name_axes(lasting, "Still valid", "Lyapunov times", "part of the forecasts")
    draw_legend(lasting, beneath=True)
    for axes in (counts, lasting):
        axes.set_xlim(0, 1.03 * last)
    return figure
