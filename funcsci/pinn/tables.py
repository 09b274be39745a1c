"""Tables of coefficients as functions that equations and conditions can be written with."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from funcsci import checks

METHODS = ("linear", "cubic", "previous", "nearest")


def interpolate(
    places: ArrayLike | tuple[ArrayLike, ...], values: ArrayLike, *, method: str = "linear"
) -> Callable[..., Any]:
    """A table as a function of a coordinate or a field, or of several.

    The function is one of torch: it acts on tensors of any shape and device, under `vmap` and in a compiled
    program, and has derivatives. Beyond the ends of the table it keeps the value that it has there.

    | method | between two places is | has |
    |---|---|---|
    | `"linear"` | the straight line | a derivative with jumps |
    | `"cubic"` | SciPy's not-a-knot spline | two continuous derivatives |
    | `"previous"` | the value at the place before | derivatives of zero |
    | `"nearest"` | the value at the nearer place | derivatives of zero |

    Args:
        places: increasing numbers, shape `(n,)`; for a table of several coordinates a tuple of them.
        values: the number at each place, shape `(n,)`, or `(n, m)` and so on for several.
        method: as above; `"cubic"` is for one coordinate.

    Returns:
        A function of as many tensors or numbers as there are coordinates.

    Raises:
        TypeError: if places or values are no real numbers.
        ValueError: if places do not increase, a shape does not fit, a number is not finite, or the method is
            unknown.

    Example:
        >>> import torch
        >>> conductivity = interpolate([0.0, 1.0, 3.0], [1.0, 2.0, 0.0])
        >>> conductivity(torch.tensor([0.5, 2.0, 9.0], dtype=torch.float64))
        tensor([1.5000, 1.0000, 0.0000], dtype=torch.float64)
        >>> from funcsci import pinn
        >>> rod = pinn.ode(
        ...     lambda u, x: (conductivity(x) * u.x).x, (0.0, 2.0), coordinate="x",
        ...     conditions=[pinn.dirichlet("x", 0.0)],
        ... )
    """
    checks.one_of(METHODS, method=method)
    several = places if isinstance(places, tuple) and any(np.ndim(one) for one in places) else (places,)
    axes = [_numbers("places", one) for one in several]
    table = _numbers("values", values)
    for axis in axes:
        if axis.ndim != 1 or len(axis) < 2 or not (np.diff(axis) > 0).all():
            must = "increase from one to the next, two of them at least"
            raise ValueError(checks.message(must, "places", axis.tolist(), "Try places=[0.0, 1.0]."))
    if table.shape != tuple(map(len, axes)):
        must = f"be as many as places, of shape {tuple(map(len, axes))}"
        raise ValueError(checks.message(must, "the shape of values", table.shape, "Pass one for each place."))
    if method == "cubic" and len(axes) > 1:
        raise ValueError(
            checks.message("be another for several coordinates", "method", method, "Try method='linear'.")
        )
    read = _cubic(axes[0], table) if method == "cubic" else _product(axes, table, method)

    def at(*x: Any) -> Any:
        if has_torch_function(x):  # a field, or an expression
            return handle_torch_function(at, x, *x)
        if len(x) != len(axes):
            must = f"be given {len(axes)} coordinates"
            raise TypeError(checks.message(must, "a table", len(x), "Pass one for each of places."))
        given = [one if isinstance(one, Tensor) else torch.tensor(one, dtype=torch.float64) for one in x]
        given = [one if one.is_floating_point() else one.double() for one in given]
        shape = np.broadcast_shapes(*(tuple(one.shape) for one in given))
        return read(*(one.expand(shape) for one in given))

    return at


def _numbers(name: str, given: Any) -> NDArray[np.float64]:
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    try:
        found = np.array(given)
    except (TypeError, ValueError):
        found = np.array("")
    if found.dtype.kind not in "iuf":
        raise TypeError(checks.message("be real numbers", name, given, f"Try {name}=[0.0, 1.0]."))
    if not np.isfinite(found).all():
        raise ValueError(checks.message("be finite", name, given, f"Leave those out of {name}."))
    return found.astype(np.float64)


def _piece(knots: NDArray[np.float64], x: Tensor, *, closed: bool) -> Tensor:
    """How many knots are at most x; the last one only where it is below x, if the end is closed."""
    edges = _like(knots, x)
    if closed:  # the last piece holds its end, so that its derivative there is its own
        edges = torch.cat([edges[:-1], torch.nextafter(edges[-1:], torch.full_like(edges[-1:], torch.inf))])
    # The place does not depend on x as far as derivatives can tell.
    return torch.searchsorted(edges, x.detach().clone(), right=True)


def _like(numbers: NDArray[np.float64], x: Tensor) -> Tensor:
    return torch.from_numpy(numbers).to(x.dtype).to(x.device)


def _taken(table: Tensor, places: Tensor) -> Tensor:
    """Entries of a table in one row, at places of any shape."""
    return table.index_select(0, places.reshape(-1)).reshape(places.shape)


def _cubic(axis: NDArray[np.float64], table: NDArray[np.float64]) -> Callable[..., Tensor]:
    inner: NDArray[np.float64] = CubicSpline(axis, table).c[::-1]  # (4, n - 1), constants first
    ends = np.zeros((4, 2))
    ends[0] = table[[0, -1]]
    coefficients = np.concatenate([ends[:, :1], inner, ends[:, 1:]], 1)  # (4, n + 1)
    starts = np.concatenate([axis[:1], axis])

    def read(x: Tensor) -> Tensor:
        piece = _piece(axis, x, closed=True)
        s = x - _taken(_like(starts, x), piece)
        total = _taken(_like(coefficients[3], x), piece)
        for row in coefficients[2::-1].copy():
            total = total * s + _taken(_like(row, x), piece)
        return total

    return read


def _product(
    axes: Sequence[NDArray[np.float64]], table: NDArray[np.float64], method: str
) -> Callable[..., Tensor]:
    """One coordinate after the other: the corners of the cell, each with its share."""
    strides = [int(np.prod(table.shape[place + 1 :])) for place in range(len(axes))]

    def corners(axis: NDArray[np.float64], x: Tensor) -> list[tuple[Tensor, Any]]:
        """The places beside x, and their shares."""
        last = len(axis) - 1
        if method == "nearest":
            return [(_piece((axis[1:] + axis[:-1]) / 2, x, closed=False), 1.0)]
        piece = _piece(axis, x, closed=method == "linear")
        before = (piece - 1).clamp(min=0)
        if method == "previous":
            return [(before, 1.0)]
        slopes = np.concatenate([[0.0], 1 / np.diff(axis), [0.0]])  # by piece; zero beyond the ends
        share = (x - _taken(_like(axis, x), before)) * _taken(_like(slopes, x), piece)
        return [(before, 1 - share), (piece.clamp(max=last), share)]

    def read(*x: Tensor) -> Tensor:
        flat, terms = _like(table.reshape(-1), x[0]), []
        for cell in itertools.product(*(corners(axis, one) for axis, one in zip(axes, x, strict=True))):
            (place, share), *others = cell
            place = strides[0] * place
            for stride, (further, factor) in zip(strides[1:], others, strict=True):
                place, share = place + stride * further, share * factor
            terms.append(share * _taken(flat, place))
        total: Tensor = sum(terms[1:], terms[0])
        return total

    return read
