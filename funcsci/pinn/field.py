"""Fields: what an equation is written with, `u.t + u * u.x - nu * u.xx`.

A field stands for the unknown function at one point. Asked for a derivative it gives a tensor; what it was
asked for is what has to be computed. So an equation is called twice: once with fields that write down
what is asked, and then, under `vmap`, with fields that hold the values.
"""

import difflib
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, tree
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


class Field:
    """An unknown function at one point, with its derivatives by name.

    `u` itself is used like a tensor of shape (): `u**2`, `torch.sin(u)`. `u.t`, `u.xx`, `u.xxt` are
    derivatives, one letter for each order; `u.d("theta", 2)` serves coordinates with longer names, and
    `u.laplacian()` is the sum of the second derivatives by all coordinates but t.
    """

    def __init__(self, name: str, coordinates: tuple[str, ...], look_up: Callable[[Request], Tensor]) -> None:
        self._name, self._coordinates, self._look_up = name, coordinates, look_up

    @property
    def value(self) -> Tensor:
        """The field itself, shape ()."""
        return self._look_up(Request(self._name, VALUE))

    def __getattr__(self, name: str) -> Tensor:
        """The derivative of that name."""
        if name.startswith("_"):
            raise AttributeError(name)
        unknown = [letter for letter in name if letter not in self._coordinates]
        if unknown:
            raise AttributeError(self._refusal(name))
        return self._derivative(*name)

    @property
    def d(self) -> "ByName":
        """Derivatives by names: `u.d("theta")`, `u.d("theta", 2)`, `u.d("r", "theta", 2)`."""
        return ByName(self._name, self._coordinates, self._look_up)

    def laplacian(self, *names: str) -> Tensor:
        r"""The Laplacian $\sum_i \partial^2 u / \partial x_i^2$, computed as one sum.

        Args:
            *names: the coordinates; all but t where none are given.

        Returns:
            Its value, shape ().

        Raises:
            ValueError: if there is no such coordinate.
        """
        chosen = names or tuple(name for name in self._coordinates if name != "t")
        return self._look_up(Request(self._name, tuple((self._place(name),) * 2 for name in chosen)))

    def _derivative(self, *names: str) -> Tensor:
        if not 1 <= len(names) <= MOST:
            must = f"be of an order from 1 to {MOST}"
            raise ValueError(checks.message(must, f"the derivative of {self._name}", names, "Try u.xx."))
        places = tuple(sorted(self._place(name) for name in names))
        return self._look_up(Request(self._name, (places,)))

    def _place(self, name: str) -> int:
        if name not in self._coordinates:
            raise ValueError(self._refusal(name))
        return self._coordinates.index(name)

    def _refusal(self, name: str) -> str:
        known = ", ".join(self._coordinates)
        if callable(getattr(torch, name, None)):
            remedy = f"Write torch.{name}({self._name}) for the function."
        else:
            near = difflib.get_close_matches(name, self._coordinates, 1, 0.5)
            near = near or [one for one in name if one in self._coordinates] or [self._coordinates[0]]
            remedy = f"Did you mean {self._name}.{near[0]}?"
            longest = max(self._coordinates, key=len)
            if len(longest) > 1:
                remedy += f' A longer name is written {self._name}.d("{longest}").'
        return f"{self._name}.{name} must be a derivative by the coordinates {known}. {remedy}"

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """A function of torch takes the field's value."""
        args, kwargs = tree.map(_value, (args, dict(kwargs or {})))
        return func(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Field({self._name!r}, coordinates={self._coordinates})"


class ByName(Field):
    """What `u.d` is: called, a derivative by names; where a coordinate is called d, also that by it."""

    @property
    def value(self) -> Tensor:
        """The derivative by the coordinate d, shape ()."""
        return self._derivative("d")

    def __getattr__(self, name: str) -> Tensor:
        """There is nothing more: derivatives of a derivative are named at once."""
        if not name.startswith("_"):
            raise AttributeError(f"{self._name}.d.{name} must be one name. Try {self._name}.d{name}.")
        raise AttributeError(name)

    def __call__(self, *by: str | int) -> Tensor:
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
                raise ValueError(checks.message(must, f"{self._name}.d", by, 'Try u.d("x", 2).'))
        return self._derivative(*names)


def _value(item: Any) -> Any:
    return item.value if isinstance(item, Field) else item


def _forwarded(name: str) -> Callable[..., Any]:
    """A binary or unary operator of Python on the field's value; reflected where the name says so."""
    plain = getattr(operator, f"__{name}__", None)

    def forward(self: Field, *other: Any) -> Any:
        assert plain is not None
        return plain(self.value, *map(_value, other))

    def backward(self: Field, other: Any) -> Any:
        return getattr(operator, f"__{name[1:]}__")(_value(other), self.value)

    return forward if plain is not None else backward


PLAIN = ("add", "sub", "mul", "truediv", "pow", "neg", "pos", "abs", "lt", "le", "gt", "ge")
REFLECTED = ("radd", "rsub", "rmul", "rtruediv", "rpow")
for _name in PLAIN + REFLECTED:
    setattr(Field, f"__{_name}__", _forwarded(_name))


class Recorder:
    """Notes what is asked of fields, and answers with a number of no meaning."""

    def __init__(self, example: Scalar) -> None:
        self.requests: dict[Request, None] = {}  # in the order of asking
        self._example = example

    def __call__(self, request: Request) -> Tensor:
        """Note one request."""
        self.requests.setdefault(request)
        return self._example
