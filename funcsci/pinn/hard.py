r"""Conditions built into a function: $u = G + D N$ satisfies them whatever the network $N$ does.

$G$ has the values and derivatives that are asked for at the edges, and $D$ vanishes there, to the order of
the highest one. Over several coordinates $G$ is a Boolean sum, one coordinate after the other,

$$G \leftarrow G + P_i (g - G), \qquad P_i v = \sum_{j} \partial_{x_i}^j v|_\text{edge}\, H_j(x_i),$$

where $H_j$ has the derivative of order $j$ equal to one at its edge and the others zero.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.pinn.domain import Domain, ScalarField, along, constant, replaced
from funcsci.pinn.faces import Face
from funcsci.tree import Scalar

MOST_CURVED = 3
"""With functions at the edges of more coordinates, none is built in by default: $G$ has $3^d$ terms."""


class Built(NamedTuple):
    """What makes a network's output satisfy conditions.

    Attributes:
        extension: $G$ at a point; None where it is zero.
        distance: $D$ at a point; None where it is one.
    """

    extension: ScalarField | None
    distance: ScalarField | None


class Split(NamedTuple):
    """Conditions at edges, by how they are met."""

    hard: tuple[Face, ...]
    soft: tuple[Face, ...]


def split(faces: Sequence[Face], domain: Domain) -> Split:
    """The conditions that can be built in, and the others.

    At an edge, derivatives of orders 0, 1, ... without a gap can be; with functions at the edges of more than
    three coordinates only what is asked to be is.

    Raises:
        ValueError: if the same is asked twice, or one that cannot be built in should be.
    """
    hard: list[Face] = []
    curved = {face.index for face in faces if callable(face.value)}
    costly = len(curved) > MOST_CURVED
    for edge in dict.fromkeys((face.field, face.index, face.upper) for face in faces):
        here = [face for face in faces if (face.field, face.index, face.upper) == edge]
        for place, face in enumerate(here):
            if face.data is None and any(_same(face, other) for other in here[:place]):
                raise ValueError(
                    f"Conditions must not contradict each other. Got {face.describe(domain)} twice for "
                    f"{face.field}. Leave one out."
                )
        orders = {face.terms[0][1]: face for face in here if _can_be_built_in(face, costly)}
        ready = 0
        while ready in orders:
            hard.append(orders[ready])
            ready += 1
    for face in faces:
        if face.source.hard and face not in hard:
            must = "be of an order for which all lower ones are given at that edge, and no data"
            remedy = "Leave hard out, or add the lower orders."
            raise ValueError(checks.message(must, "what is built in", face.describe(domain), remedy))
    return Split(tuple(hard), tuple(face for face in faces if face not in hard))


def _same(face: Face, other: Face) -> bool:
    return other.data is None and [order for _, order in face.terms] == [order for _, order in other.terms]


def _can_be_built_in(face: Face, costly: bool) -> bool:
    wanted = not costly if face.source.hard is None else face.source.hard
    return wanted and len(face.terms) == 1 and face.data is None


def build(faces: Sequence[Face], domain: Domain, rates: Sequence[float]) -> Built:
    """The extension and the distance for the built-in conditions of one field.

    Args:
        faces: from `split`.
        domain: the box.
        rates: for each coordinate the inverse length over which a condition at one edge alone leaves it.
    """
    extension: ScalarField | None = None
    distances: list[ScalarField] = []
    last_first = sorted({face.index for face in faces}, key=lambda index: domain.names[index] == "t")
    for index in last_first:
        here = [face for face in faces if face.index == index]
        lower, upper = (sum(face.upper == side for face in here) for side in (False, True))
        line = Line.of(domain, index, lower, upper, rates[index])
        distances.append(line.distance)
        extension = _extended(extension, here, line, domain)
    if not distances:
        return Built(None, None)

    def distance(x: Float[Tensor, "dimensions"]) -> Scalar:
        return reduce(torch.mul, [one(x) for one in distances])

    return Built(extension, distance)


def _extended(
    before: ScalarField | None, faces: Sequence[Face], line: "Line", domain: Domain
) -> ScalarField | None:
    """$G + P_i (g - G)$."""
    if before is None and all(face.value == 0.0 for face in faces):
        return None

    def extension(x: Float[Tensor, "dimensions"]) -> Scalar:
        total = x.new_zeros(()) if before is None else before(x)
        for face in faces:
            if before is None and face.value == 0.0:
                continue
            ((factor, order),) = face.terms
            edge = replaced(x, face.index, face.end(domain))
            wanted = face.at(edge) / factor
            if before is not None:
                wanted = wanted - along(before, edge, face.index, order)
            total = total + wanted * line.shape(face.upper, order, x)
        return total

    return extension


class Line(NamedTuple):
    """Functions of one coordinate for the conditions at its two ends.

    Attributes:
        distance: vanishes at the ends, to the number of conditions there.
        shape: `shape(upper, order, x)` has that derivative equal to one at that end, and all others zero.
    """

    distance: ScalarField
    shape: Callable[[bool, int, Tensor], Scalar]

    @classmethod
    def of(cls, domain: Domain, index: int, lower: int, upper: int, rate: float) -> "Line":
        r"""The functions for so many conditions at each end.

        With conditions at both they are Hermite's polynomials; with conditions at one end alone they are
        polynomials of $y = \tanh k\tau$, at distance $\tau$ from it, which stay bounded however far that is.
        """
        start, end = domain.lower[index], domain.upper[index]
        length = end - start
        if lower and upper:
            table = hermite(lower, upper)
            top = (lower / (lower + upper)) ** lower * (upper / (lower + upper)) ** upper

            def distance(x: Tensor) -> Scalar:
                s, rest = (x[index] - start) / length, (end - x[index]) / length
                return s**lower * rest**upper / top

            def shape(at_upper: bool, order: int, x: Tensor) -> Scalar:
                coefficients = table[order + lower * at_upper]
                return length**order * _polynomial(coefficients, (x[index] - start) / length)

            return cls(distance, shape)
        many = lower or upper
        sign, origin = (1.0, start) if lower else (-1.0, end)

        def stretched(x: Tensor) -> Scalar:
            return torch.tanh(sign * rate * (x[index] - origin))

        def power(x: Tensor) -> Scalar:
            return stretched(x) ** many

        def series(at_upper: bool, order: int, x: Tensor) -> Scalar:
            if order == 0:
                return torch.ones_like(x[index])
            return (sign / rate) ** order * _polynomial(powers_of_artanh(order, many), stretched(x))

        return cls(power, series)


def _polynomial(coefficients: Sequence[float], s: Scalar) -> Scalar:
    """By Horner's scheme, without the zeros at its ends."""
    lowest = next(place for place, factor in enumerate(coefficients) if factor)
    total = constant(coefficients[-1], s)
    for factor in reversed(coefficients[lowest:-1]):
        total = total * s + factor
    return total * s**lowest if lowest else total


def hermite(lower: int, upper: int) -> list[list[float]]:
    r"""Coefficients of the polynomials on [0, 1] with one unit derivative at an end.

    Args:
        lower: how many derivatives, from order 0 on, are given at 0.
        upper: how many at 1.

    Returns:
        One list of `lower + upper` coefficients, constant first, for each derivative at 0, then at 1.
    """
    size = lower + upper
    rows = np.zeros((size, size))
    for place in range(size):
        end, order = (0.0, place) if place < lower else (1.0, place - lower)
        for power in range(order, size):
            rows[place, power] = math.perm(power, order) * end ** (power - order)
    return [list(map(float, column)) for column in np.linalg.inv(rows).T]


def powers_of_artanh(order: int, size: int) -> list[float]:
    r"""Coefficients of $\tau^j / j!$ in powers of $y = \tanh\tau$, up to $y^{n-1}$.

    Args:
        order: $j$.
        size: $n$.
    """
    once = [1.0 / power if power % 2 else 0.0 for power in range(size)]
    total = [1.0] + [0.0] * (size - 1)
    for factor in range(1, order + 1):
        product = np.convolve(total, once)[:size] / factor
        total = list(map(float, product))
    while total[-1] == 0.0 and len(total) > 1:
        total.pop()
    return total
