"""Figures of a solution of one variable."""

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci.plot.style import BLUE, ORANGE, name_axes


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
    name_axes(curve, "Solution", "t", "u(t)")
    curve.legend(frameon=False, fontsize=9)

    errors.semilogy(times, error, color=BLUE, linewidth=0.9)
    name_axes(errors, "Pointwise error", "t", "|u − closed form|")

    history.semilogy(seconds, loss, color=BLUE, linewidth=0.9, marker="o" if _few(loss) else "")
    name_axes(history, "Loss", "seconds", "mean squared residual")
    return figure


def _few(values: ArrayLike) -> bool:
    return len(values) < 20  # type: ignore[arg-type]
