r"""Expressions in fields and coordinates, which have derivatives: `((1 + x) * u.x).x`.

An expression $F(x, u, u_x, \dots)$ knows the operations it was made by, so it can be computed again from
other values of its leaves. Its derivative by a coordinate is the total one,

$$D_i F = \partial_i F + \sum_j \frac{\partial F}{\partial u_j} \partial_i u_j
= \frac{\mathrm d}{\mathrm ds} F(x + s e_i, u_j + s\, \partial_i u_j)\Big|_{s=0},$$

where $u_j$ are the derivatives of fields that it holds. It is an expression again.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.func import jacrev

from funcsci import tree
from funcsci.autodiff import derivative
from funcsci.pinn.field import MOST, Operator, Quantity, Request, check_order, value_of
from funcsci.pinn.refusals import UNNAMED, NeedsNumbers

Leaf: TypeAlias = Request | int
"""What an expression is made from: a derivative of a field, or the coordinate of that number."""


class Values:
    """What expressions are for certain values of their leaves, each computed once."""

    def __init__(self, leaves: Any) -> None:
        self.leaves = leaves
        self._found: dict[Expression, Any] = {}

    def of(self, item: Any) -> Any:
        """The value of an expression; anything else as it is."""
        if not isinstance(item, Expression):
            return item
        if item not in self._found:
            self._found[item] = item._compute(self)
        return self._found[item]


class Call:
    """One call of an equation with expressions.

    Attributes:
        names: of the coordinates.
        values: of all expressions.
        differentiates: whether a derivative of an expression was asked for.
    """

    def __init__(self, names: tuple[str, ...], x: Tensor, look_up: Callable[[Request], Tensor]) -> None:
        self.names, self.differentiates = names, False
        self._coordinates, self._look_up = [x[place] for place in range(len(names))], look_up
        self.values = Values(self)

    def __getitem__(self, leaf: Leaf) -> Tensor:
        return self._coordinates[leaf] if isinstance(leaf, int) else self._look_up(leaf)

    def leaf(self, leaf: Leaf) -> "Expression":
        """A coordinate or a derivative of a field."""
        return Expression(
            self, self._label(leaf), frozenset([leaf]), lambda values: values.leaves[leaf], leaf
        )

    def _label(self, leaf: Leaf) -> str:
        if isinstance(leaf, int):
            return self.names[leaf]
        if len(leaf.operator) > 1:
            return f"the Laplacian of {leaf.field}"
        names = [self.names[place] for place in leaf.operator[0]]
        if all(len(name) == 1 for name in names):
            return ".".join([leaf.field, *(["".join(names)] if names else [])])
        return f"{leaf.field}.d({', '.join(map(repr, names))})"

    def raised(self, request: Request, operator: Operator) -> Request:
        """The derivative of a derivative."""
        terms = [tuple(sorted((*term, *more))) for term in request.operator for more in operator]
        for term in terms:
            if len(term) > MOST:
                check_order([self.names[place] for place in term], request.field)
        return Request(request.field, tuple(terms))


class Expression(Quantity):
    """A tensor that is made from fields and coordinates, and can be differentiated by these."""

    def __init__(
        self,
        call: Call,
        label: str,
        leaves: frozenset[Leaf],
        compute: Callable[[Values], Any],
        leaf: Leaf | None = None,
    ) -> None:
        self._call, self._label, self._leaves, self._compute = call, label, leaves, compute
        self._leaf, self._coordinates = leaf, call.names

    @property
    def value(self) -> Any:
        """The tensor."""
        return self._call.values.of(self)

    def __getattr__(self, name: str) -> Any:
        """A derivative, or what a tensor has of that name, as `x.sin()`."""
        if name.startswith("_") or set(name) <= set(self._coordinates) or not hasattr(Tensor, name):
            return super().__getattr__(name)
        found = getattr(self.value, name)
        if callable(found):
            return lambda *args, **kwargs: self._operate(getattr(Tensor, name), self, *args, **kwargs)
        return self._operate(getattr, self, name) if isinstance(found, Tensor) else found

    def _by(self, operator: Operator) -> Any:
        self._call.differentiates = True
        if isinstance(self._leaf, Request):
            return self._call.leaf(self._call.raised(self._leaf, operator))
        total: Any = 0.0
        for place, term in enumerate(operator):
            one = self
            for coordinate in term:
                one = one._partial(coordinate)
            total = total + one if place else one
        return total

    def _partial(self, place: int) -> "Expression":
        """The derivative by one coordinate."""
        raised = {
            leaf: self._call.raised(leaf, ((place,),)) for leaf in self._leaves if isinstance(leaf, Request)
        }

        def compute(values: Values) -> Tensor:
            start = {leaf: values.leaves[leaf] for leaf in self._leaves}
            rates: dict[Leaf, Tensor] = {leaf: values.leaves[more] for leaf, more in raised.items()}

            def along(s: Tensor) -> Tensor:
                moved = {leaf: start[leaf] + s * rate for leaf, rate in rates.items()}
                if place in start:
                    moved[place] = start[place] + s
                result: Tensor = Values({**start, **moved}).of(self)
                return result

            like = values.of(self)
            if not like.is_floating_point():  # piecewise constant, as a comparison
                return torch.zeros_like(like)
            zero = next(iter(start.values())).new_zeros(())
            found: Tensor = (jacrev(along) if like.dim() else derivative(along))(zero)
            return found

        return Expression(self._call, UNNAMED, self._leaves | frozenset(raised.values()), compute)

    def _operate(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return _applied(function, args, kwargs)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """A function of torch on expressions is an expression."""
        return _applied(func, args, dict(kwargs or {}))

    def __getitem__(self, place: Any) -> Any:
        """Items of a vector."""
        return self._operate(torch.Tensor.__getitem__, self, place)

    def __len__(self) -> int:
        return len(self.value) if self.value.dim() else self._no_parts()

    def __iter__(self) -> Any:
        return iter(self._operate(torch.unbind, self)) if self.value.dim() else self._no_parts()

    def _no_parts(self) -> Any:
        self._needs_numbers(
            "it is a single one, without length, items or parts",
            "Name each field of a system: lambda u, v: (u.t - v, v.t + u).",
        )

    def __call__(self, *places: Any) -> Any:
        """Refused: an expression is a value at one point."""
        raise NeedsNumbers(
            f"{self._label} is a value at one point, no function. Got {self._label} with parentheses behind "
            "it. Leave them out, as in u.xx."
        )

    def __repr__(self) -> str:
        return self._label


def _applied(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of tensors on arguments of which some are expressions."""
    args, kwargs = tree.map(value_of, (args, kwargs))
    inner = [item for item in tree.leaves((args, kwargs)) if isinstance(item, Expression)]
    call = inner[0]._call
    if "out" in kwargs or _writes(function.__name__):
        raise NeedsNumbers(
            f"What is differentiated must be made without writing into tensors. Got {function.__name__}. "
            "Use torch.stack of its parts, or torch.where."
        )

    def compute(values: Values) -> Any:
        filled, named = tree.map(values.of, (args, kwargs))
        return function(*filled, **named)

    leaves = frozenset(leaf for item in inner for leaf in item._leaves)
    whole = Expression(call, UNNAMED, leaves, compute)
    found = whole.value
    if isinstance(found, Tensor):
        return whole
    if not isinstance(found, tuple | list) or not any(isinstance(one, Tensor) for one in found):
        return found

    def part(place: int) -> Expression:
        return Expression(call, UNNAMED, leaves, lambda values: values.of(whole)[place])

    return type(found)([part(place) for place in range(len(found))])


def _writes(name: str) -> bool:
    """Whether a function of torch changes its first argument, by its name."""
    return name in ("__setitem__", "copy_") or (name.endswith("_") and not name.endswith("__"))
