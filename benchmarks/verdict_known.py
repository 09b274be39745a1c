"""Functions that are known with all their derivatives, of which exact solutions are made."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

PI = math.pi
Curve = Callable[[int, Tensor], Tensor]
"""A function of one number with its derivatives: `curve(order, s)`."""


class Jet:
    """A function at one point, written in equations as the library's fields are: `u`, `u.x`, `u.xxt`."""

    def __init__(self, look_up: Callable[[str], Tensor]) -> None:
        self._look_up = look_up

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._look_up(name)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func(*map(plain, args), **(kwargs or {}))

    def __pow__(self, other):
        return plain(self) ** plain(other)

    def __neg__(self):
        return -plain(self)


def plain(item: Any) -> Any:
    """The value of a jet, and anything else as it is."""
    return item._look_up("") if isinstance(item, Jet) else item


def _binary(name: str) -> None:
    function = getattr(operator, name)
    setattr(Jet, f"__{name}__", lambda self, other: function(plain(self), plain(other)))
    setattr(Jet, f"__r{name}__", lambda self, other: function(plain(other), plain(self)))


for _name in ("add", "sub", "mul", "truediv"):
    _binary(_name)


def sine(k: float, phase: float = 0.0) -> Curve:
    def curve(n: int, s: Tensor) -> Tensor:
        value = torch.sin(k * s + (phase + n * PI / 2))
        return k**n * value if n else value

    return curve


def exponential(k: float) -> Curve:
    def curve(n: int, s: Tensor) -> Tensor:
        value = torch.exp(k * s)
        return k**n * value if n else value

    return curve


def polynomial(*coefficients: float) -> Curve:
    """The lowest power comes first."""

    def curve(n: int, s: Tensor) -> Tensor:
        total = torch.zeros_like(s)
        for power, factor in reversed(list(enumerate(coefficients))[n:]):
            total = total * s + factor * math.perm(power, n)
        return total

    return curve


def step(center: float, width: float) -> Curve:
    """tanh((s - center) / width)."""

    def curve(n: int, s: Tensor) -> Tensor:
        t = torch.tanh((s - center) / width)
        slope = 1 - t**2
        forms = (t, slope, -2 * t * slope, slope * (6 * t**2 - 2), slope * (16 * t - 24 * t**3))
        return forms[n] / width**n

    return curve


def bump(center: float, width: float) -> Curve:
    """exp(-((s - center) / width)**2 / 2)."""

    def curve(n: int, s: Tensor) -> Tensor:
        z = (s - center) / width
        forms = (torch.ones_like(z), z, z**2 - 1, z**3 - 3 * z, z**4 - 6 * z**2 + 3)
        return forms[n] * torch.exp(-(z**2) / 2) * (-1 / width) ** n

    return curve


class Product(NamedTuple):
    """A number times one function of each of some coordinates."""

    factor: float
    curves: Mapping[str, Curve]

    def derivative(self, letters: str, point: Mapping[str, Tensor]) -> Tensor:
        total = None
        for name, curve in self.curves.items():
            value = curve(letters.count(name), point[name])
            total = value if total is None else total * value
        vanishes = any(letter not in self.curves for letter in letters)
        if total is None or vanishes:
            return torch.full_like(next(iter(point.values())), 0.0 if vanishes else self.factor)
        return self.factor * total

    def held(self, name: str, order: int, end: float) -> "Product":
        """Its derivative by a coordinate where that has a certain value."""
        if name not in self.curves:
            return Product(0.0 if order else self.factor, self.curves)
        at_end = float(self.curves[name](order, torch.tensor(end, dtype=torch.float64)))
        return Product(
            self.factor * at_end, {one: curve for one, curve in self.curves.items() if one != name}
        )


class Ridge(NamedTuple):
    """A number times a function of a sum of multiples of coordinates."""

    factor: float
    curve: Curve
    slopes: Mapping[str, float]

    def derivative(self, letters: str, point: Mapping[str, Tensor]) -> Tensor:
        along = sum(slope * point[name] for name, slope in self.slopes.items())
        chain = math.prod(self.slopes.get(letter, 0.0) for letter in letters)
        return self.factor * chain * self.curve(len(letters), along)

    def held(self, name: str, order: int, end: float) -> "Ridge":
        """As of a product."""
        slope = self.slopes.get(name, 0.0)
        rest = {one: other for one, other in self.slopes.items() if one != name}
        return Ridge(self.factor * slope**order, lambda n, s: self.curve(n + order, s + slope * end), rest)


class Known:
    """A sum of terms, with all its derivatives in closed form."""

    def __init__(self, *terms: Product | Ridge) -> None:
        self.terms = terms

    def derivative(self, letters: str, point: Mapping[str, Tensor]) -> Tensor:
        first, *rest = (term.derivative(letters, point) for term in self.terms)
        return sum(rest, first)

    def held(self, name: str, order: int, end: float, factor: float = 1.0) -> tuple[Product | Ridge, ...]:
        """The terms of its derivative by a coordinate where that has a certain value, times a factor."""
        found = (term.held(name, order, end) for term in self.terms)
        return tuple(one._replace(factor=factor * one.factor) for one in found)

    def at(self, point: Mapping[str, Tensor]) -> Jet:
        return Jet(lambda letters: self.derivative(letters, point))
