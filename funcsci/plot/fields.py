"""Figures of fields: curves over one coordinate, maps over two, slices of either."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from funcsci.plot.panels import (
    Course,
    draw_course,
    draw_legend,
    draw_map,
    draw_sizes,
    field_colors,
    keep_steady,
    log_colors,
    panels,
    say_if_empty,
    stroke,
)
from funcsci.plot.style import ORANGE, name_axes

EXACT = "closed form"
"""What is drawn broad and pale behind a solution."""
BROAD: dict[str, Any] = {"linewidth": 5, "linestyle": "-", "solid_capstyle": "butt"}
NAMED_SLICES = 8
"""More slices than this are told apart by a bar of colours, and not one by one."""
SHADES = LinearSegmentedColormap.from_list("shades", colormaps["plasma"](np.linspace(0.0, 0.88, 256)))
"""From early to late; without the palest end, which a white ground swallows."""


class Misfit(NamedTuple):
    """What is wrong with a solution, as far as it is known.

    Attributes:
        name: of the panel.
        label: of its axis.
        values: for each field or equation, on the points of the solution; the size is drawn.
    """

    name: str
    label: str
    values: Mapping[str, ArrayLike]


def curves_figure(
    x: ArrayLike,
    values: Mapping[str, ArrayLike],
    misfit: Misfit,
    course: Course,
    *,
    coordinate: str,
    exact: Mapping[str, ArrayLike] | None = None,
    title: str,
) -> Figure:
    """Fields over one coordinate, what is wrong with them, and the history of the loss.

    Args:
        x: the coordinate, shape `(points,)`.
        values: each field there, by name.
        misfit: the error or the residual there. Where it is that of the fields, by their names, each has
            its field's colour.
        course: the history.
        coordinate: its name.
        exact: the exact fields there, drawn behind, those that are known; None where none is.
        title: stands above the figure.

    Returns:
        A figure of three panels, the second and the third logarithmic, with gaps at zeros and where there
        is no number. It belongs to no window; notebooks show it, `savefig` writes it.

    Example:
        >>> import numpy as np
        >>> from funcsci.plot import Course, Misfit, curves_figure
        >>> t = np.linspace(0, 3, 100)
        >>> error = Misfit("Pointwise error", "|error|", {"u": 1e-6 * np.sin(t)})
        >>> course = Course([1.0, 1e-4, 1e-9], [0.1, 0.2, 0.3])
        >>> figure = curves_figure(t, {"u": np.cos(t)}, error, course, coordinate="t", title="u'' + u = 0")
        >>> [panel.get_title() for panel in figure.axes]
        ['Solution', 'Pointwise error', 'Loss']
    """
    figure, (curve, wrong, history) = panels(title)
    alone, behind = len(values) == 1, exact or {}
    for place, (name, one) in enumerate(values.items()):
        line = stroke(place)
        if name in behind:
            pale = {"color": ORANGE, "alpha": 0.45} if alone else {"color": line["color"], "alpha": 0.25}
            curve.plot(x, behind[name], **BROAD | pale, label=EXACT if alone else "_")
        curve.plot(x, one, **line, linewidth=1.5, label="solution" if alone else name)
    keep_steady(curve)
    name_axes(curve, "Solution", coordinate, f"{next(iter(values))}({coordinate})" if alone else "")
    if behind or not alone:
        draw_legend(curve, broad=EXACT if behind and not alone else None, beneath=not alone)

    draw_sizes(wrong, x, misfit.values)
    name_axes(wrong, misfit.name, coordinate, misfit.label)
    if len(misfit.values) > 1 and list(misfit.values) != list(values):
        draw_legend(wrong, beneath=True)
    draw_course(history, course)
    return figure


def map_figure(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    misfit: Misfit,
    course: Course,
    *,
    coordinates: tuple[str, str],
    field: str,
    title: str,
) -> Figure:
    """A field over two coordinates, what is wrong with it, and the history of the loss.

    Args:
        x: the first coordinate, shape `(nx,)`, rising or falling.
        y: the second, shape `(ny,)`.
        values: the field, shape `(nx, ny)`; nan where it is not defined.
        misfit: the error or the residual on the same grid, one entry.
        course: the history.
        coordinates: their names. Time lies on the horizontal axis, if one of them is `t`, else the first.
        field: its name.
        title: stands above the figure.

    Returns:
        A figure of three panels and two bars of colours, the second logarithmic over six decades at most.
        Colours are centred at zero where the field has both signs and the smaller extreme is more than a
        tenth of the larger.

    Raises:
        ValueError: if the shape of the field or of the misfit is not `(nx, ny)`.

    Example:
        >>> import numpy as np
        >>> from funcsci.plot import Course, Misfit, map_figure
        >>> x, t = np.linspace(-1, 1, 50), np.linspace(0, 1, 40)
        >>> u = np.exp(-t) * np.sin(np.pi * x[:, None])
        >>> residual = Misfit("Residual", "|residual|", {"equation 1": 1e-5 * u})
        >>> course = Course([1.0, 1e-4], [0.1, 0.2])
        >>> figure = map_figure(
        ...     x, t, u, residual, course, coordinates=("x", "t"), field="u", title="u.t - 0.1 u.xx = 0"
        ... )
        >>> [panel.get_xlabel() for panel in figure.axes[:3]]
        ['t', 't', 'seconds']
    """
    (wrong_values,) = misfit.values.values()
    grid, size = np.asarray(values, dtype=np.float64), np.abs(np.asarray(wrong_values, dtype=np.float64))
    _check_shape(x, y, values=grid, **{"misfit.values": size})
    axes_names = coordinates
    if coordinates[1] == "t":
        x, y, axes_names = y, x, coordinates[::-1]
    else:  # rows run along the vertical axis
        grid, size = grid.T, size.T
    figure, (shown, wrong, history) = panels(title)
    draw_map(figure, shown, x, y, grid, colors=field_colors(grid))
    name_axes(shown, f"{field}({', '.join(coordinates)})", *axes_names)
    # A zero has no logarithm, but it is a number, and the best: it gets the colour of the lowest.
    lifted = np.where(size == 0, np.finfo(np.float64).tiny, size)
    draw_map(figure, wrong, x, y, lifted, colors=log_colors(size), label=misfit.label)
    say_if_empty(wrong, size)
    name_axes(wrong, misfit.name, *axes_names)
    for axes in (shown, wrong):
        axes.grid(False)
    draw_course(history, course)
    return figure


def slices_figure(
    x: ArrayLike,
    slices: Sequence[tuple[float, ArrayLike]],
    *,
    coordinate: str,
    along: str,
    field: str,
    exact: Sequence[ArrayLike] | None = None,
    title: str,
) -> Figure:
    """A field over one coordinate, at several values of another.

    Args:
        x: the coordinate, shape `(points,)`.
        slices: pairs of the other coordinate's value, which gives the colour, and the field there.
        coordinate: the name of the first.
        along: the name of the other.
        field: the field's name.
        exact: the exact field of each slice, drawn behind; None where it is not known.
        title: stands above the figure.

    Returns:
        A figure of one panel; more than eight slices have a bar of colours in place of a legend.

    Example:
        >>> import numpy as np
        >>> from funcsci.plot import slices_figure
        >>> x = np.linspace(0, np.pi, 100)
        >>> slices = [(t, np.exp(-t) * np.sin(x)) for t in (0.0, 0.5, 1.0)]
        >>> figure = slices_figure(x, slices, coordinate="x", along="t", field="u", title="u.t = u.xx")
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['t = 0', 't = 0.5', 't = 1']
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots()
    places = [value for value, _ in slices]
    norm = Normalize(min(places), max(places))
    for number, (value, one) in enumerate(slices):
        color = SHADES(norm(value))
        if exact is not None:
            axes.plot(x, exact[number], **BROAD, color=color, alpha=0.25, label="_")
        axes.plot(x, one, color=color, linewidth=1.5, label=f"{along} = {value:.3g}")
    keep_steady(axes)
    name_axes(axes, "Slices", coordinate, field)
    if len(slices) > NAMED_SLICES:
        figure.colorbar(ScalarMappable(norm, SHADES), ax=axes, label=along).outline.set_visible(False)
    else:
        draw_legend(axes, broad=None if exact is None else EXACT)
    return figure


def _check_shape(x: ArrayLike, y: ArrayLike, **grids: NDArray[np.float64]) -> None:
    expected = (np.size(x), np.size(y))
    for name, grid in grids.items():
        if grid.shape != expected:
            must = f"have the shape {expected}, the first coordinate's points before the second's"
            raise ValueError(f"{name} must {must}. Got {name} of shape {grid.shape}. Try {name}.T.")
