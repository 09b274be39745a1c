r"""Jets: a tensor with its derivatives along several directions.

With $f_k^d$ the derivative of order $k$ along direction $d$, a jet holds $f$ once for all directions.
Directions that need the same orders are one bundle, whose rows $f_k^d$ are one tensor for each $k$. Of a sum
over directions, $\sum_d w_d f_K^d$ (a Laplacian), only the sum is held: it is collapsed, for every rule is
linear in the highest derivative.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap


class Bundle(NamedTuple):
    """Directions that have derivatives of the same orders.

    Attributes:
        order: the highest; each lower one is there too.
        directions: how many there are.
    """

    order: int
    directions: int


class Sum(NamedTuple):
    """A sum over directions, of derivatives one order above what their bundles must hold at least.

    Attributes:
        order: of the derivatives.
        weights: for each bundle that takes part, its place and the weights of its directions.
    """

    order: int
    weights: tuple[tuple[int, tuple[float, ...]], ...]


class Layout(NamedTuple):
    """What the jets of one call hold.

    Attributes:
        bundles: each has one part for each order, with a row for each direction.
        sums: each has one part of one row.
    """

    bundles: tuple[Bundle, ...]
    sums: tuple[Sum, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of rows of each part."""
        return (*(one.directions for one in self.bundles for _ in range(one.order)), *(1 for _ in self.sums))

    @property
    def highest(self) -> int:
        """The highest order of any derivative."""
        return max([0, *(one.order for one in self.bundles), *(one.order for one in self.sums)])

    def place(self, bundle: int, order: int) -> int:
        """Which part the derivatives of an order along a bundle's directions are."""
        return sum(one.order for one in self.bundles[:bundle]) + order - 1

    def place_of_sum(self, which: int) -> int:
        """Which part a sum is."""
        return sum(one.order for one in self.bundles) + which


class Jet(NamedTuple):
    """A tensor and its derivatives.

    Attributes:
        layout: what the parts are.
        primal: the tensor, shape `S`.
        parts: derivatives, shape `(rows, *S)` each; one that is None is zero.
        affine: whether the derivatives are the same at every point, as those of the point itself. Then they
            have no dimension for a batch of points, and are kept apart from the primal.
        stacked: the parts that are not None, after the primal unless affine, as one tensor; None where there
            is none yet.
    """

    layout: Layout
    primal: Tensor
    parts: tuple[Tensor | None, ...]
    affine: bool = False
    stacked: Tensor | None = None


def of_constant(tensor: Tensor, layout: Layout) -> Jet:
    """A tensor whose derivatives are zero."""
    return Jet(layout, tensor, (None,) * len(layout.counts), affine=True)


def plain(item: Any) -> Any:
    """The primal of a jet, and anything else as it is."""
    return item.primal if isinstance(item, Jet) else item


def linear(jet: Jet, function: Callable[[Tensor], Tensor], *, cheap: bool = False) -> Jet:
    """A linear function of a jet: of all rows at once, so that a matrix is multiplied with once.

    Args:
        jet: the jet.
        function: a linear function of a tensor of the primal's shape.
        cheap: whether it costs less than to copy its argument, as a view does; then rows that are not stacked
            yet are left so.
    """
    if cheap and jet.stacked is None:
        parts = tuple(None if part is None else vmap(function)(part) for part in jet.parts)
        return jet._replace(primal=function(jet.primal), parts=parts)
    rows = [part for part in jet.parts if part is not None]
    if not jet.affine:
        rows = [jet.primal.unsqueeze(0), *rows]
    primal = [function(jet.primal)] if jet.affine else []
    if not rows:
        return jet._replace(primal=primal[0])
    stacked = jet.stacked
    if stacked is None:
        stacked = torch.cat(rows) if len(rows) > 1 else rows[0]
    mapped = vmap(function)(stacked)
    pieces = torch.split(mapped, [len(one) for one in rows]) if len(rows) > 1 else (mapped,)
    if not jet.affine:
        primal, pieces = [pieces[0].squeeze(0)], pieces[1:]
    found = iter(pieces)
    parts = tuple(None if part is None else next(found) for part in jet.parts)
    return Jet(jet.layout, primal[0], parts, jet.affine, mapped)


def combined(items: Sequence[Any], function: Callable[..., Tensor]) -> Jet:
    """A function that is linear in all of several jets together, as `cat`; others are constant tensors."""
    layout = next(item for item in items if isinstance(item, Jet)).layout
    whole = [item if isinstance(item, Jet) else of_constant(item, layout) for item in items]

    def part(place: int, rows: int) -> Tensor | None:
        own = [one.parts[place] for one in whole]
        if all(one is None for one in own):
            return None
        filled = [
            jet.primal.new_zeros((rows, *jet.primal.shape)) if one is None else one
            for one, jet in zip(own, whole, strict=True)
        ]
        return vmap(function)(*filled)

    parts = tuple(itertools.starmap(part, enumerate(layout.counts)))
    affine = all(one.affine for one in whole)
    return Jet(layout, function(*(one.primal for one in whole)), parts, affine)


def added(a: Any, b: Any, factor: float = 1) -> Any:
    """`a + factor * b` of jets, tensors and numbers, which are broadcast."""
    if not isinstance(a, Jet) and not isinstance(b, Jet):
        return a + factor * b
    primal = _sum_of(plain(a), plain(b), factor)
    layout = (a if isinstance(a, Jet) else b).layout

    def part(place: int) -> Tensor | None:
        left, right = (
            _expanded(one.parts[place], primal) if isinstance(one, Jet) else None for one in (a, b)
        )
        if right is None:
            return left
        if left is None:
            return right if factor == 1 else factor * right
        total: Tensor = _sum_of(left, right, factor)
        return total

    affine = all(one.affine for one in (a, b) if isinstance(one, Jet))
    return Jet(layout, primal, tuple(map(part, range(len(layout.counts)))), affine)


def bilinear(a: Any, b: Any, function: Callable[[Any, Any], Tensor], *, cheap: bool = False) -> Any:
    r"""A bilinear function of jets, by Leibniz's rule $\sum_j \tbinom kj\, B(a_j, b_{k-j})$.

    Args:
        a: a jet, or a tensor or number that is constant.
        b: the same.
        function: of two tensors of the primals' shapes.
        cheap: as in `linear`.
    """
    if not isinstance(a, Jet):
        if not isinstance(b, Jet):
            return function(a, b)
        return linear(b, lambda one: function(a, one), cheap=cheap)
    if not isinstance(b, Jet):
        return linear(a, lambda one: function(one, b), cheap=cheap)
    layout = a.layout

    def term(x: Tensor | None, y: Tensor | None, x_rows: bool = True, y_rows: bool = True) -> Tensor | None:
        if x is None or y is None:
            return None
        return vmap(function, in_dims=(0 if x_rows else None, 0 if y_rows else None))(x, y)

    def outer(place: int) -> list[tuple[int, Tensor | None]]:
        left = term(a.parts[place], b.primal, y_rows=False)
        return [(1, left), (1, term(a.primal, b.parts[place], x_rows=False))]

    def inner(bundle: int, order: int) -> Tensor | None:
        pairs = [(layout.place(bundle, j), layout.place(bundle, order - j)) for j in range(1, order)]
        terms = [term(a.parts[j], b.parts[k]) for j, k in pairs]
        return _total([(math.comb(order, j), one) for j, one in enumerate(terms, 1)])

    parts = []
    for bundle, order in _bundles_and_orders(layout):
        parts.append(_total([*outer(layout.place(bundle, order)), (1, inner(bundle, order))]))
    for which, one in enumerate(layout.sums):
        collapsed = [(1, _weighted(inner(bundle, one.order), weights)) for bundle, weights in one.weights]
        parts.append(_total([*outer(layout.place_of_sum(which)), *collapsed]))
    return Jet(layout, function(a.primal, b.primal), tuple(parts))


def product(*factors: Any) -> Any:
    """The product of each entry, of jets, tensors and numbers."""
    total = factors[0]
    for factor in factors[1:]:
        total = bilinear(total, factor, torch.mul, cheap=True)
    return total


PARTITIONS: dict[int, tuple[tuple[int, tuple[tuple[int, tuple[int, ...]], ...]], ...]] = {
    1: (),
    2: ((2, ((1, (1, 1)),)),),
    3: ((2, ((3, (1, 2)),)), (3, ((1, (1, 1, 1)),))),
    4: ((2, ((4, (1, 3)), (3, (2, 2)))), (3, ((6, (1, 1, 2)),)), (4, ((1, (1, 1, 1, 1)),))),
}
"""Faà di Bruno's formula by order: which derivative of the outer function goes with which products of
derivatives of the inner one, each counted. The first, `f' x_k`, goes without saying."""


def elementwise(jet: Jet, primal: Tensor, slopes: Sequence[Tensor | None], *, singular: bool = False) -> Jet:
    r"""A function of each entry, by Faà di Bruno's formula.

    Args:
        jet: the jet $x$.
        primal: the function $f(x)$.
        slopes: its derivatives $f', f'', \dots$ there; None is zero.
        singular: whether they may be infinite. The zeros of an affine jet stay zero then: $\sqrt y$ does not
            change along $x$.
    """
    layout = jet.layout
    sloped = _calm_product if singular and jet.affine else _product

    def bent(order: int, groups: Sequence[tuple[int, tuple[float, ...] | None]]) -> list[Any]:
        """The terms with slopes from the second on, summed over directions where those have weights."""
        terms: list[tuple[int, Tensor | None]] = []
        for slope, counted in PARTITIONS[order]:
            if slopes[slope - 1] is None:
                continue
            factors = [
                (count, _weighted(_monomial(jet, bundle, orders), weights))
                for bundle, weights in groups
                for count, orders in counted
            ]
            terms.append((1, sloped(slopes[slope - 1], _total(factors))))
        return terms

    parts = []
    for bundle, order in _bundles_and_orders(layout):
        straight = sloped(slopes[0], jet.parts[layout.place(bundle, order)])
        parts.append(_total([(1, straight), *bent(order, [(bundle, None)])]))
    for which, one in enumerate(layout.sums):
        straight = sloped(slopes[0], jet.parts[layout.place_of_sum(which)])
        parts.append(_total([(1, straight), *bent(one.order, one.weights)]))
    return Jet(layout, primal, tuple(parts))


def with_first(jet: Jet, function: Callable[[Tensor], Tensor]) -> Jet:
    """A jet whose first derivatives are replaced by a function of them."""
    layout = jet.layout
    orders = [order for _, order in _bundles_and_orders(layout)] + [one.order for one in layout.sums]
    parts = tuple(
        function(part) if part is not None and order == 1 else part
        for part, order in zip(jet.parts, orders, strict=True)
    )
    return jet._replace(parts=parts, stacked=None)


def _bundles_and_orders(layout: Layout) -> list[tuple[int, int]]:
    """In the order of the parts."""
    return [(place, k) for place, one in enumerate(layout.bundles) for k in range(1, one.order + 1)]


def _monomial(jet: Jet, bundle: int, orders: tuple[int, ...]) -> Tensor | None:
    product: Tensor | None = jet.parts[jet.layout.place(bundle, orders[0])]
    for order in orders[1:]:
        product = _product(product, jet.parts[jet.layout.place(bundle, order)])
    return product


def _weighted(rows: Tensor | None, weights: tuple[float, ...] | None) -> Tensor | None:
    """The sum over directions, as one row; without weights the rows as they are."""
    if rows is None or weights is None:
        return rows
    if all(weight == weights[0] for weight in weights):
        total = rows.sum(0, keepdim=True) if len(rows) > 1 else rows
        return total if weights[0] == 1 else weights[0] * total
    column = torch.tensor(weights, dtype=rows.dtype, device="cpu").to(rows.device)
    return (column.reshape(-1, *(1,) * (rows.dim() - 1)) * rows).sum(0, keepdim=True)


def _expanded(part: Tensor | None, primal: Tensor) -> Tensor | None:
    """A part at the shape that broadcasting gave the primal."""
    if part is None or part.shape[1:] == primal.shape:
        return part
    rows, *own = part.shape
    inner = (1,) * (primal.dim() - len(own)) + tuple(own)
    return part.reshape(rows, *inner).expand(rows, *primal.shape)


def _sum_of(a: Any, b: Any, factor: float) -> Any:
    if factor == -1:
        return a - b
    return a + b if factor == 1 else a + factor * b


def _product(x: Tensor | None, y: Tensor | None) -> Tensor | None:
    return None if x is None or y is None else x * y


def _calm_product(x: Tensor | None, y: Tensor | None) -> Tensor | None:
    """A product that is zero where `y` is, whatever `x` is there."""
    return None if x is None or y is None else torch.where(y == 0, torch.zeros_like(y), x * y)


def _total(terms: Sequence[tuple[int, Tensor | None]]) -> Tensor | None:
    """The sum of terms, each times a number; None if all are zero."""
    total: Tensor | None = None
    for factor, term in terms:
        if term is not None:
            term = term if factor == 1 else factor * term
            total = term if total is None else total + term
    return total
