"""Fields: what an equation is written with, `u.t + u * u.x - nu * u.xx`.

A field stands for the unknown function at one point. Asked for a derivative it gives a tensor; what it was
asked for is what has to be computed. So an equation is called twice: once with fields that write down
what is asked, and then, under `vmap`, with fields that hold the values. Where it differentiates an
expression, `((1 + x) * u.x).x`, fields give an `Expression` in place of a tensor.
"""

import difflib
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.pinn.refusals import NeedsNumbers, NoSuchDerivative, NoSuchName, Refusing
from funcsci.tree import Scalar

Operator: TypeAlias = tuple[tuple[int, ...], ...]
"""A sum of partial derivatives, each a sorted tuple of coordinates; `((),)` is the value itself."""
VALUE: Operator = ((),)
MOST = 4
"""The highest order of a derivative."""


class Request(NamedTuple):
    """One number that an equation needs at each point.

    Attributes:
        field: the name of the unknown function.
        operator: what of it.
    """

    field: str
    operator: Operator


class Quantity(Refusing):
    """A number at one point, which has derivatives by the names of coordinates.

    Attributes are derivatives, `.t`, `.xx`, `.xxt`, one letter for each order.
    """

    _label: str
    _coordinates: tuple[str, ...]

    def _by(self, operator: Operator) -> Any:
        """A sum of derivatives."""
        raise NotImplementedError

    def _operate(self, function: Callable[..., Any], *args: Any) -> Any:
        """A function of tensors on arguments of which some are quantities."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        """The derivative of that name."""
        if name.startswith("_"):
            raise AttributeError(name)
        if not set(name) <= set(self._coordinates):
            raise NoSuchName(self._refusal(name))
        return self._derivative(*name)

    @property
    def d(self) -> "ByName":
        """Derivatives by names: `u.d("theta")`, `u.d("theta", 2)`, `u.d("r", "theta", 2)`."""
        return ByName(self)

    def laplacian(self, *names: str) -> Any:
        r"""The Laplacian $\sum_i \partial^2 u / \partial x_i^2$, computed as one sum.

        Args:
            *names: the coordinates; all but t where none are given.

        Returns:
            Its value, shape ().

        Raises:
            ValueError: if there is no such coordinate.
        """
        chosen = names or tuple(name for name in self._coordinates if name != "t")
        return self._by(tuple((self._place(name),) * 2 for name in chosen))

    def _derivative(self, *names: str) -> Any:
        check_order(names, self._label)
        return self._by((tuple(sorted(self._place(name) for name in names)),))

    def _place(self, name: str) -> int:
        if name not in self._coordinates:
            raise NoSuchDerivative(self._refusal(name))
        return self._coordinates.index(name)

    def _refusal(self, name: str) -> str:
        known = ", ".join(self._coordinates)
        if callable(getattr(torch, name, None)):
            remedy = f"Write torch.{name}({self._label}) for the function."
        else:
            near = difflib.get_close_matches(name, self._coordinates, 1, 0.5)
            near = near or [one for one in name if one in self._coordinates] or [self._coordinates[0]]
            remedy = f"Did you mean {self._label}.{near[0]}?"
            longest = max(self._coordinates, key=len)
            if len(longest) > 1:
                remedy += f' A longer name is written {self._label}.d("{longest}").'
        return f"{self._label}.{name} must be a derivative by the coordinates {known}. {remedy}"


def check_order(names: Sequence[str], label: str) -> None:
    """The names of coordinates, one for each order, are as many as there are orders.

    Raises:
        ValueError: if they are none, or more than 4.
    """
    if not 1 <= len(names) <= MOST:
        must = f"be of an order from 1 to {MOST}"
        story = checks.message(must, f"the derivative of {label}", tuple(names), "Try u.xx.")
        raise NoSuchDerivative(story)


def _forwarded(act: Callable[..., Any], *, reflected: bool) -> Callable[..., Any]:
    """An operator of Python on a quantity."""
    if reflected:
        return lambda self, other: self._operate(act, other, self)
    return lambda self, *other: self._operate(act, self, *other)


PLAIN = (
    "add", "sub", "mul", "truediv", "mod", "pow", "matmul", "neg", "pos", "abs",
    "lt", "le", "gt", "ge", "eq", "ne",
)  # fmt: skip
REFLECTED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
OPERATORS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, f"__{name}__") for name in PLAIN},
    "floordiv": lambda a, b: torch.floor(a / b),  # that of torch has no derivative
}
for _name, _act in OPERATORS.items():
    setattr(Quantity, f"__{_name}__", _forwarded(_act, reflected=False))
    if _name in REFLECTED:
        setattr(Quantity, f"__r{_name}__", _forwarded(_act, reflected=True))


class Field(Quantity):
    """An unknown function at one point, with its derivatives by name.

    `u` itself is used like a tensor of shape (): `u**2`, `torch.sin(u)`. `u.t`, `u.xx`, `u.xxt` are
    derivatives, one letter for each order; `u.d("theta", 2)` serves coordinates with longer names, and
    `u.laplacian()` is the sum of the second derivatives by all coordinates but t. An expression has
    derivatives too: `((1 + x) * u.x).x`.
    """

    def __init__(self, name: str, coordinates: tuple[str, ...], look_up: Callable[[Request], Any]) -> None:
        self._label, self._coordinates, self._look_up = name, coordinates, look_up

    @property
    def value(self) -> Any:
        """The field itself, shape ()."""
        return self._look_up(Request(self._label, VALUE))

    def _by(self, operator: Operator) -> Any:
        return self._look_up(Request(self._label, operator))

    def _operate(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*map(value_of, args))

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """A function of torch takes the field's value."""
        args, kwargs = tree.map(value_of, (args, dict(kwargs or {})))
        return func(*args, **kwargs)

    def __call__(self, *places: Any) -> Any:
        """Refused: a field is known at one point."""
        name = self._label
        at = f"{name}({', '.join(self._coordinates)})"
        raise NeedsNumbers(
            f"An equation knows its fields at one point at a time: {name} is {at} there, and {name} at "
            f"another place, as a delay {name}(t - 1) asks for, is not known. Write {name} without "
            "parentheses for the value. A delay can be solved by steps, one delay after the other, with the "
            "solution before as a function in the equation."
        )

    def __len__(self) -> int:
        return self._no_parts()

    def __iter__(self) -> Any:
        self._no_parts()

    def __getitem__(self, place: Any) -> Any:
        """Refused: a field is one number."""
        self._no_parts()

    def _no_parts(self) -> NoReturn:
        self._needs_numbers(
            "it is a single one, without length, items or parts",
            "Name each field of a system: lambda u, v: (u.t - v, v.t + u).",
        )

    def __repr__(self) -> str:
        return f"Field({self._label!r}, coordinates={self._coordinates})"


class ByName(Field):
    """What `u.d` is: called, a derivative by names; where a coordinate is called d, also that by it."""

    def __init__(self, of: Quantity) -> None:
        self._of, self._label, self._coordinates = of, f"{of._label}.d", of._coordinates

    @property
    def value(self) -> Any:
        """The derivative by the coordinate d, shape ()."""
        return self._of._derivative("d")

    def _by(self, operator: Operator) -> Any:
        """There is nothing more: derivatives of a derivative are named at once."""
        raise NoSuchName()

    def __getattr__(self, name: str) -> Any:
        """There is nothing more: derivatives of a derivative are named at once."""
        if not name.startswith("_"):
            raise NoSuchName(f"{self._label}.{name} must be one name. Try {self._label}{name}.")
        raise AttributeError(name)

    def __call__(self, *by: str | int) -> Any:
        """The derivative by these coordinates.

        Args:
            *by: names of coordinates, each followed by its order where that is not 1.

        Returns:
            The derivative, shape ().

        Raises:
            ValueError: if there is no such coordinate, or the order is not one from 1 to 4.
        """
        names: list[str] = []
        for item in by:
            if isinstance(item, str):
                names.append(item)
            elif names and isinstance(item, int) and 1 <= item <= MOST:
                names += [names[-1]] * (item - 1)
            else:
                must = f"name a coordinate, then its order from 1 to {MOST}"
                story = checks.message(must, self._label, by, 'Try u.d("x", 2).')
                raise NoSuchDerivative(story)
        return self._of._derivative(*names)


def value_of(item: Any) -> Any:
    """A field's value, and anything else as it is."""
    return item.value if isinstance(item, Field) else item


class Recorder:
    """Notes what is asked of fields, and answers with a number of no meaning."""

    def __init__(self, example: Scalar) -> None:
        self.requests: dict[Request, None] = {}  # in the order of asking
        self._example = example

    def __call__(self, request: Request) -> Tensor:
        """Note one request."""
        self.requests.setdefault(request)
        return self._example
