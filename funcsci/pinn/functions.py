"""Functions as a user writes them, of coordinates by name: values of conditions, and references."""

import inspect
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vjp, vmap

from funcsci import checks
from funcsci.compile import inside_transform
from funcsci.pinn.domain import Domain, constant
from funcsci.pinn.expressions import Call
from funcsci.pinn.refusals import check_no_coordinate, explained
from funcsci.tree import Scalar


@dataclass(frozen=True, eq=False)
class NamedFunction:
    """A function of coordinates by name, as one of a point.

    Attributes:
        function: as a user writes it, such as `lambda x: torch.sin(x)`.
        domain: gives the coordinates.
        what: to call it in an error.
        several: how many numbers it returns, in a tuple or a tensor; 0 is one as a scalar.
        places: of the coordinates that it takes, in order.
        keywords: the places of those that it takes by keyword only.
    """

    function: Callable[..., Any]
    domain: Domain
    what: str
    several: int
    places: tuple[int, ...]
    keywords: dict[str, int]

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        domain: Domain,
        what: str,
        without: str | None = None,
        *,
        several: int = 0,
    ) -> "NamedFunction":
        """Find out which coordinates a function takes: those that its arguments name.

        Arguments that have no names, behind a star, before a slash or of a built-in function, are all
        coordinates in order. A name that no coordinate has is refused, for it would be guessed at:
        `lambda u: -u**4` is no function of the time.

        Args:
            function: as the attribute.
            domain: as the attribute.
            what: as the attribute.
            without: a coordinate that is fixed, which arguments without names leave out.
            several: as the attribute.

        Raises:
            ValueError: if it takes something else, or gives a coordinate a value.
        """
        free = [name for name in domain.names if name != without]
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:  # a built-in function, which does not tell
            parameters = [inspect.Parameter("it", inspect.Parameter.POSITIONAL_ONLY)]
        nameless: list[str] = []
        names: list[str] = []
        keywords: list[str] = []
        for one in parameters:
            if one.kind is one.VAR_POSITIONAL:
                nameless += free
            elif one.kind is one.VAR_KEYWORD:
                continue
            elif one.default is not one.empty:
                check_no_coordinate(one.name, one.default, domain.names, f"function of {what}")
            elif one.kind is one.POSITIONAL_ONLY:
                nameless.append(one.name)
            else:
                (keywords if one.kind is one.KEYWORD_ONLY else names).append(one.name)
        if nameless and len(nameless) == len(free) and not names:
            names = free
        elif nameless or not {*names, *keywords} <= set(domain.names):
            must = f"take coordinates by name, of {', '.join(domain.names)}"
            came = (*nameless, *names, *keywords)
            raise ValueError(
                checks.message(must, f"the function of {what}", came, f"Try lambda {', '.join(free)}: ...")
            )
        return cls(
            function, domain, what, several,
            tuple(map(domain.index, names)), {name: domain.index(name) for name in keywords},
        )  # fmt: skip

    def __call__(self, x: Float[Tensor, "dimensions"]) -> Tensor:
        """What it is at a point, shape (), or (several,).

        Raises:
            TypeError: if it returns no number, or cannot be called at all points at once.
        """
        try:
            result = self._called(x.__getitem__)
        except Exception as error:
            told = explained(error, self._expressed(x), f"the function of {self.what}")
            if told is error:
                raise
            raise told from error
        return self._numbers(result, x)

    def check(self) -> None:
        """Call it once, in the middle of the domain.

        Raises:
            TypeError: as in a call, or if it holds constants that require a gradient.
        """
        middle = [0.5 * (a + b) for a, b in zip(self.domain.lower, self.domain.upper, strict=True)]
        with torch.enable_grad():
            found = vmap(lambda x: vjp(self, x)[0])(torch.tensor(2 * [middle]).double())
        if found.requires_grad and not inside_transform():
            raise TypeError(
                f"Constants of {self.what} must not require a gradient: a solve finds fields, and no "
                "constants. Got one that does. Pass constant.detach()."
            )

    def at_points(self, points: Float[Tensor, "n dimensions"]) -> Tensor:
        """What it is at many points; a function of NumPy or Python is called for one after the other."""
        try:
            return vmap(self)(points)
        except TypeError:  # it may be made of functions of NumPy or math
            if inside_transform():
                raise
            rows = [[np.float64(number) for number in row] for row in points.tolist()]
            try:
                results = [self._called(row.__getitem__) for row in rows]
            except TypeError:
                results = []
            if len(results) < len(rows):
                raise
        return torch.stack([self._numbers(result, x) for result, x in zip(results, points, strict=True)])

    def _called(self, coordinate: Callable[[int], Any]) -> Any:
        named = {name: coordinate(place) for name, place in self.keywords.items()}
        return self.function(*map(coordinate, self.places), **named)

    def _expressed(self, x: Tensor) -> Exception | None:
        """What the function raises when its arguments know what they are asked for."""

        def unknown(request: Any) -> Tensor:
            raise AssertionError("a function of coordinates holds no field")

        call = Call(self.domain.names, x, unknown)
        try:
            self._called(call.leaf)
        except Exception as error:
            return error
        return None

    def _numbers(self, result: Any, x: Tensor) -> Tensor:
        if not self.several:
            return self._number(result, x)
        parts = list(result) if self.several > 1 or isinstance(result, tuple | list) else [result]
        if len(parts) != self.several:
            must, remedy = f"return {self.several} numbers", "Return one for each field."
            raise ValueError(checks.message(must, self.what, len(parts), remedy))
        return torch.stack([self._number(part, x) for part in parts])

    def _number(self, result: Any, x: Tensor) -> Scalar:
        if isinstance(result, np.ndarray) and result.size == 1:
            result = result.item()
        if isinstance(result, numbers.Real) and not isinstance(result, bool):
            return constant(float(result), x)
        tensor = isinstance(result, Tensor)
        if not tensor or result.numel() != 1 or result.is_complex() or result.dtype == torch.bool:
            came = f"a {result.dtype} tensor of shape {tuple(result.shape)}" if tensor else repr(result)
            raise TypeError(
                f"The function of {self.what} must return a number at each point. Got {came}. "
                "Write it with torch's functions of its arguments, as torch.sin(x)."
            )
        number: Tensor = result.reshape(())
        return number if number.is_floating_point() else number.to(x.dtype)
