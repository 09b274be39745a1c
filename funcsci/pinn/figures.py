"""What is drawn of a solution: arrays for the figures of `plot`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from funcsci.pinn.outcome import History
from funcsci.pinn.problem import Problem
from funcsci.pinn.settings import Settings
from funcsci.plot import Course, Misfit, curves_figure, map_figure, slices_figure

LINE_POINTS, MAP_POINTS = 1_000, 151
"""Points along each coordinate of a curve and of a map."""
Exact = Callable[[Tensor], Tensor]


class Drawn(NamedTuple):
    """What is drawn of a solution.

    Attributes:
        problem: what was solved.
        history: the course of it.
        settings: how it was solved.
        function: all fields at a point.
        residual: what is left of the equations, `residual(*coordinates)`.
        judged: where it comes from and how good it is, in words.
    """

    problem: Problem
    history: History
    settings: Settings
    function: Exact
    residual: Callable[..., Any]
    judged: str


def figure_of(solution: Drawn, field: int, slices: int, exact: Exact | None) -> Figure:
    """The figure of a solution; arguments as in `Solution.plot`."""
    title = _title(solution)
    domain = solution.problem.domain
    if domain.dimensions == 1:
        return _curves(solution, exact, title)
    names = domain.names[-2:] if "t" not in domain.names else (_space(solution), "t")
    first, second = (domain.index(name) for name in names)
    if slices:
        return _slices(solution, field, first, second, slices, exact, title)
    axes = [_axis(solution, place, MAP_POINTS) for place in (first, second)]
    points = _points(solution, {first: axes[0][:, None], second: axes[1][None, :]})
    values, misfit = _evaluated(solution, points, exact)
    shape = (MAP_POINTS, MAP_POINTS)
    one = list(misfit.values)[min(field, len(misfit.values) - 1)]
    return map_figure(
        axes[0].numpy(),
        axes[1].numpy(),
        values[field].reshape(shape),
        misfit._replace(values={one: np.asarray(misfit.values[one]).reshape(shape)}),
        _course(solution),
        coordinates=(names[0], names[1]),
        field=solution.problem.fields[field],
        title=title,
    )


def _curves(solution: Drawn, exact: Exact | None, title: str) -> Figure:
    axis = _axis(solution, 0, LINE_POINTS)
    points = _points(solution, {0: axis})
    values, misfit = _evaluated(solution, points, exact)
    behind = None
    if exact is not None:
        found = exact(points).double().cpu().numpy()
        behind = dict(zip(solution.problem.fields, found.T, strict=True))
    return curves_figure(
        axis.numpy(),
        dict(zip(solution.problem.fields, values, strict=True)),
        misfit,
        _course(solution),
        coordinate=solution.problem.domain.names[0],
        exact=behind,
        title=title,
    )


def _slices(
    solution: Drawn, field: int, first: int, second: int, count: int, exact: Exact | None, title: str
) -> Figure:
    names = solution.problem.domain.names
    axis, places = _axis(solution, first, LINE_POINTS), _axis(solution, second, count)
    slices, behind = [], []
    for place in places:
        points = _points(solution, {first: axis, second: place})
        with torch.no_grad():
            slices.append((float(place), vmap(solution.function)(points)[:, field].double().cpu().numpy()))
        if exact is not None:
            behind.append(exact(points)[:, field].double().cpu().numpy())
    return slices_figure(
        axis.numpy(),
        slices,
        coordinate=names[first],
        along=names[second],
        field=solution.problem.fields[field],
        exact=behind or None,
        title=title,
    )


def _evaluated(
    solution: Drawn, points: Tensor, exact: Exact | None
) -> tuple[list[NDArray[np.float64]], Misfit]:
    """The fields at points, and their error where the exact solution is known, else the residual."""
    with torch.no_grad():
        found = vmap(solution.function)(points).double()
    values = list(found.T.cpu().numpy())
    if exact is not None:
        error = (found - exact(points).double()).abs().T.cpu().numpy()
        wrong = dict(zip(solution.problem.fields, error, strict=True))
        return values, Misfit("Pointwise error", "|solution − closed form|", wrong)
    residual = solution.residual(*points.T)
    parts = residual if isinstance(residual, tuple) else (residual,)
    wrong = {f"equation {number}": part.abs().double().cpu().numpy() for number, part in enumerate(parts, 1)}
    return values, Misfit("Residual", "|residual|", wrong)


def _axis(solution: Drawn, place: int, count: int) -> Tensor:
    domain = solution.problem.domain
    return torch.linspace(domain.lower[place], domain.upper[place], count, dtype=torch.float64)


def _points(solution: Drawn, given: dict[int, Tensor]) -> Tensor:
    """Points with some coordinates given and the others in the middle of their ranges."""
    domain, settings = solution.problem.domain, solution.settings
    middle = [torch.tensor(0.5 * (a + b), dtype=torch.float64) for a, b in domain.ranges.values()]
    columns = [given.get(place, one) for place, one in enumerate(middle)]
    shape = np.broadcast_shapes(*(tuple(one.shape) for one in columns))
    return torch.stack([one.expand(shape).reshape(-1) for one in columns], 1).to(**settings.where)


def _space(solution: Drawn) -> str:
    return next(name for name in solution.problem.domain.names if name != "t")


def _course(solution: Drawn) -> Course:
    return Course(solution.history.loss.numpy(), solution.history.seconds.numpy())


def _title(solution: Drawn) -> str:
    return "  ·  ".join(part for part in (solution.problem.text, solution.judged) if part)
