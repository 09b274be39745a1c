"""Partial derivatives of a function, by name of the way they are taken."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from funcsci import checks
from funcsci.autodiff import nested, taylor
from funcsci.autodiff.directions import Operator
from funcsci.autodiff.taylor import HIGHEST

MODES = ("taylor", "nested")


def partials(
    function: Callable[..., Tensor],
    operators: Sequence[Operator],
    *,
    derivatives: str = "taylor",
    units: Sequence[float] = (),
) -> Callable[..., tuple[Tensor, ...]]:
    r"""Partial derivatives of a function of a point, as many as are needed at once.

    An operator is a sum of partial derivatives, $\sum_m \partial^{\alpha_m} f$, given by their coordinates:

    | operator | is |
    |---|---|
    | `((),)` | $f$ |
    | `((0,),)` | $\partial_0 f$ |
    | `((0, 1),)` | $\partial_0 \partial_1 f$ |
    | `((0, 0), (1, 1))` | $\partial_0^2 f + \partial_1^2 f$, the Laplacian of the plane |

    `"taylor"` carries all of them forward in one pass, sums collapsed; `"nested"` takes `torch.func.grad` of
    `torch.func.grad`, for each component and operator. Both can be differentiated, mapped and compiled.

    Args:
        function: `f(x, *rest)`, with `x` of shape `(dimensions,)`; its result may have any shape.
        operators: what to compute.
        derivatives: `"taylor"` or `"nested"`.
        units: of the coordinates, in which they change by about one; powers of two cost no round-off. Taylor
            mode makes $\partial_0 \partial_1$ of derivatives along sums of coordinates, which must
            be of one size. `()` takes them as they are.

    Returns:
        A function of the same arguments with one tensor for each operator, of the shape of `f`.

    Raises:
        TypeError: if an operator is no tuple of tuples of integers.
        ValueError: if a coordinate is negative or out of range, an order is above 4 in Taylor mode, or
            the mode is unknown; (when called) if Taylor mode cannot follow what the function closes over:
            other tensors at each call, or one that a transform inside the function differentiates by.
        NotImplementedError: (when called) if Taylor mode has no rule for one of the function's operations.

    Example:
        >>> import torch
        >>> x = torch.tensor([2.0, 3.0], dtype=torch.float64)
        >>> partials(lambda x: x[0] ** 2 * x[1], (((),), ((0, 1),), ((0, 0), (1, 1))))(x)
        (tensor(12., dtype=torch.float64), tensor(4., dtype=torch.float64), tensor(6., dtype=torch.float64))

    Source: Griewank and Walther (2008), doi:10.1137/1.9780898717761, chapter 13 (Taylor mode);
    arXiv:2505.13644 (2025), collapsed sums.
    """
    checks.one_of(MODES, derivatives=derivatives)
    _check(operators, derivatives)

    def at_point(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        if x.dim() != 1:
            raise ValueError(
                "partials act at one point, a vector of shape (dimensions,). "
                f"Got x of shape {tuple(x.shape)}. Use torch.func.vmap for a batch of points."
            )
        for operator in operators:
            for place in (place for term in operator for place in term):
                if place >= len(x):
                    must = f"name coordinates below {len(x)}"
                    raise ValueError(checks.message(must, "operators", operator, "Count them from 0."))
        return compute(x, *rest)

    mixed = any(len(set(term)) > 1 for operator in operators for term in operator)
    if derivatives == "nested":
        compute = _nested(function, operators)
    elif units and mixed:
        compute = _in_units(function, operators, units)
    else:
        compute = taylor.partials(function, operators)
    return at_point


def _in_units(
    function: Callable[..., Tensor], operators: Sequence[Operator], units: Sequence[float]
) -> Callable[..., tuple[Tensor, ...]]:
    """Taylor mode for coordinates that are divided by their units."""
    terms = tuple(dict.fromkeys(term for operator in operators for term in operator))

    def size(x: Tensor) -> Tensor:
        return torch.tensor(units, dtype=x.dtype, device="cpu").to(x.device)

    scaled = taylor.partials(lambda s, *rest: function(s * size(s), *rest), tuple((term,) for term in terms))

    def at_point(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        found = dict(zip(terms, scaled(x / size(x), *rest), strict=True))
        parts = {term: value / math.prod(units[place] for place in term) for term, value in found.items()}
        return tuple(sum((parts[term] for term in rest), parts[first]) for first, *rest in operators)

    return at_point


def _nested(
    function: Callable[..., Tensor], operators: Sequence[Operator]
) -> Callable[..., tuple[Tensor, ...]]:
    def at_point(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        value = function(x, *rest)

        def component(place: int) -> Callable[[Tensor], Tensor]:
            return lambda x: function(x, *rest).reshape(-1)[place]

        def of(operator: Operator) -> Tensor:
            if operator == ((),):
                return value
            if value.numel() == 0:
                return torch.zeros_like(value)
            parts = [
                torch.stack([nested.partial(component(place), term)(x) for term in operator]).sum(0)
                for place in range(value.numel())
            ]
            return torch.stack(parts).reshape(value.shape)

        return tuple(of(operator) for operator in operators)

    return at_point


def _check(operators: Sequence[Operator], derivatives: str) -> None:
    for operator in operators:
        if (
            not isinstance(operator, tuple)
            or not operator
            or not all(isinstance(term, tuple) for term in operator)
        ):
            must = "be tuples of tuples of coordinates"
            raise TypeError(checks.message(must, "operators", operator, "Try ((0, 0), (1, 1))."))
        for term in operator:
            for place in term:
                checks.integer(operators=place, least=0)
            if derivatives == "taylor" and len(term) > HIGHEST:
                must = f"be of an order up to {HIGHEST} in Taylor mode"
                raise ValueError(checks.message(must, "operators", operator, "Use derivatives='nested'."))
