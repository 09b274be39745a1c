"""Where an equation holds: a box with named coordinates."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from funcsci import checks
from funcsci.autodiff import derivative
from funcsci.tree import Scalar

Span: TypeAlias = Sequence[float] | NDArray[Any] | Tensor
"""The start and end of a range."""
ScalarField: TypeAlias = Callable[[Tensor], Scalar]
"""A function of a point, shape `(dimensions,)`, with one value, shape ()."""

RESERVED = ("laplacian", "value")
"""Names of a field's own, which a coordinate cannot have."""


@dataclass(frozen=True)
class Domain:
    r"""A box $\prod_i [a_i, b_i]$; points are vectors in the order of its names.

    Attributes:
        names: of the coordinates.
        lower: $a_i$, in each coordinate's units.
        upper: $b_i$.
    """

    names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def of(cls, ranges: Mapping[str, Span]) -> "Domain":
        """The box of a dict such as `{"x": (-1, 1), "t": (0, 1)}`.

        Raises:
            TypeError: if it is no dict of pairs of numbers by name.
            ValueError: if it is empty, a name is no identifier or reserved, or a range is empty or reversed.
        """
        if not isinstance(ranges, Mapping):
            raise TypeError(checks.message("be a dict of ranges", "domain", ranges, 'Try {"x": (0.0, 1.0)}.'))
        if not ranges:
            raise ValueError(checks.message("have a coordinate", "domain", ranges, 'Try {"x": (0.0, 1.0)}.'))
        ranges = {name: listed(span) for name, span in ranges.items()}
        for name, span in ranges.items():
            if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
                must = f"name coordinates as Python does, but not {', '.join(RESERVED)}"
                raise ValueError(checks.message(must, "domain", name, 'Try {"x": (0.0, 1.0)}.'))
            checks.interval(**{f"domain[{name!r}]": span})
        spans = [(float(start), float(end)) for start, end in ranges.values()]
        return cls(tuple(ranges), tuple(a for a, _ in spans), tuple(b for _, b in spans))

    @property
    def dimensions(self) -> int:
        """The number of coordinates."""
        return len(self.names)

    @property
    def lengths(self) -> tuple[float, ...]:
        """The lengths $b_i - a_i$."""
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def units(self) -> tuple[float, ...]:
        """The powers of two next to the lengths."""
        return tuple(2.0 ** round(math.log2(length)) for length in self.lengths)

    def length(self, name: str) -> float:
        """The length along a coordinate."""
        return self.lengths[self.index(name)]

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The dict that `of` takes."""
        return dict(zip(self.names, zip(self.lower, self.upper, strict=True), strict=True))

    def index(self, name: str, of: str = "coordinate") -> int:
        """The place of a coordinate.

        Args:
            name: the coordinate.
            of: what to call it in an error.

        Raises:
            ValueError: if there is none of that name; the message gives the nearest.
        """
        if name not in self.names:
            near = difflib.get_close_matches(str(name), self.names, 1, 0.5)
            remedy = f"Did you mean {near[0]!r}?" if near else f"Try {of}={self.names[0]!r}."
            must = f"be a coordinate of the domain, one of {', '.join(map(repr, self.names))}"
            raise ValueError(checks.message(must, of, name, remedy))
        return self.names.index(name)

    def scaled(self, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "dimensions"]:
        """A point with every coordinate on [-1, 1], as networks like it."""
        lower, lengths = constant(self.lower, x), constant(self.lengths, x)
        return 2 * (x - lower) / lengths - 1

    def unscaled(self, s: Float[Tensor, "*batch dimensions"]) -> Float[Tensor, "*batch dimensions"]:
        """Points of the box from those of the unit cube."""
        return constant(self.lower, s) + s * constant(self.lengths, s)

    def part(self, name: str, start: float, end: float) -> "Domain":
        """The box with another range of one coordinate."""
        return Domain.of({**self.ranges, name: (start, end)})


def listed(value: Any) -> Any:
    """An array or a tensor as numbers of Python in lists; anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic | Tensor) else value


def constant(value: Any, like: Tensor) -> Tensor:
    """Numbers as a tensor of another's dtype and device, also inside transforms, on any of them."""
    return torch.tensor(value, dtype=like.dtype, device="cpu").to(like.device)


def replaced(x: Float[Tensor, "dimensions"], index: int, value: float | Scalar) -> Tensor:
    """The point with one coordinate set to a value."""
    here = torch.arange(x.shape[-1], device=x.device) == index
    return torch.where(here, torch.as_tensor(value, dtype=x.dtype, device=x.device), x)


def along(function: ScalarField, x: Float[Tensor, "dimensions"], index: int, order: int) -> Scalar:
    """A derivative of a scalar field by one coordinate at a point, by nested `grad`."""
    if order == 0:
        return function(x)
    return derivative(lambda s: function(replaced(x, index, s)), order)(x[index])
