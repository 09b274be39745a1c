"""Figures of a solution of one variable."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci import checks

BLUE, ORANGE, GREY = "#1f5fa8", "#d9742b", "#555555"


def figure_path(**values: str | Path) -> None:
    """Each value is a path that can be written and whose ending names a format of figures.

    Raises:
        OSError: if it cannot be written.
        ValueError: if its ending is none of matplotlib's.
    """
    checks.writable(**values)
    formats = sorted(Figure().canvas.get_supported_filetypes())
    for name, path in values.items():
        if Path(path).suffix.removeprefix(".").lower() not in formats:
            must = f"end in .{', .'.join(formats)}"
            raise ValueError(checks.message(must, name, str(path), f"Try {name}='{Path(path).stem}.png'."))


def solution_figure(
    times: ArrayLike,
    values: ArrayLike,
    exact: ArrayLike,
    error: ArrayLike,
    loss: ArrayLike,
    seconds: ArrayLike,
    *,
    title: str,
) -> Figure:
    """A solution on its closed form, the error at each point, and the history of the loss.

    Args:
        times: shape `(points,)`.
        values: the solution there, shape `(points,)`.
        exact: the closed form there, shape `(points,)`.
        error: the absolute error there, shape `(points,)`.
        loss: the history of the loss, shape `(entries,)`.
        seconds: when each entry was known, shape `(entries,)`.
        title: stands above the figure.

    Returns:
        A figure of three panels. It belongs to no window; notebooks show it, `savefig` writes it.
    """
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    curve, errors, history = figure.subplots(1, 3)

    curve.plot(times, exact, color=ORANGE, linewidth=5, alpha=0.45, label="closed form")
    curve.plot(times, values, color=BLUE, linewidth=1.5, label="solution")
    _name(curve, "Solution", "t", "u(t)")
    curve.legend(frameon=False, fontsize=9)

    errors.semilogy(times, error, color=BLUE, linewidth=0.9)
    _name(errors, "Pointwise error", "t", "|u − closed form|")

    history.semilogy(seconds, loss, color=BLUE, linewidth=0.9, marker="o" if _few(loss) else "")
    _name(history, "Loss", "seconds", "mean squared residual")
    return figure


def _few(values: ArrayLike) -> bool:
    return len(values) < 20  # type: ignore[arg-type]


def _name(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10, color=GREY)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.locator_params(axis="x", nbins=6)
