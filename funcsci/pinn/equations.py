"""Equations as a user writes them, made into residuals at a point."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.pinn.domain import Domain, constant
from funcsci.pinn.field import Field, Recorder, Request

Equation: TypeAlias = Callable[..., Any]
"""Takes fields and coordinates by name; returns one residual, or several in a tuple or tensor."""
Values: TypeAlias = Mapping[Request, Tensor]
"""The number that each request of an equation has at a point."""


@dataclass(frozen=True, eq=False)
class Equations:
    """One or several equations for one or several fields.

    Attributes:
        functions: the equations, each with the names of its arguments in order.
        fields: the unknown functions.
        domain: gives the coordinates.
        requests: all that the equations need of the fields at a point.
        count: how many numbers they return in all.
    """

    functions: tuple[tuple[Equation, tuple[str, ...]], ...]
    fields: tuple[str, ...]
    domain: Domain
    requests: tuple[Request, ...]
    count: int

    @classmethod
    def of(
        cls, equation: Equation | Sequence[Equation], domain: Domain, fields: Sequence[str] | None = None
    ) -> "Equations":
        """Find out what equations need.

        Args:
            equation: one function or several.
            domain: whose coordinates they may take as arguments.
            fields: the names of the unknown functions; None takes every other argument for one.

        Raises:
            TypeError: if an equation is no function, or returns no number.
            ValueError: if an argument is neither coordinate nor field, there is no field, or there
                are fewer equations than fields.
        """
        functions = functions_of(equation)
        if not functions:
            remedy = "Try lambda u: u.tt + u."
            raise TypeError(checks.message("be a function or several", "equation", equation, remedy))
        named = tuple((function, _arguments(function)) for function in functions)
        asked = dict.fromkeys(name for _, names in named for name in names if name not in domain.names)
        known = tuple(asked) if fields is None else tuple(fields)
        for name in asked:
            _check_known(name, known, domain)
        for name in known:
            if name in domain.names or not name.isidentifier():
                remedy = f"The coordinates are {', '.join(domain.names)}. Choose another name."
                raise ValueError(checks.message("name no coordinate", "fields", name, remedy))
        if not known:
            must = f"take an unknown function beside the coordinates {', '.join(domain.names)}"
            raise ValueError(checks.message(must, "equation", equation, "Try lambda u: u.tt + u."))
        recorder = Recorder(torch.full((), 0.5, dtype=torch.float64))
        blank = cls(named, known, domain, (), 0)
        point = torch.tensor(
            [0.5 * (a + b) for a, b in zip(domain.lower, domain.upper, strict=True)]
        ).double()
        found = blank._call(recorder, point)
        equations = replace(blank, requests=tuple(recorder.requests), count=len(found))
        if len(found) < len(known):
            raise ValueError(
                f"As many equations as fields are needed. Got {len(found)} for {', '.join(known)}: "
                "the problem is under-determined. Add an equation, or leave out of fields= what is known."
            )
        untouched = [name for name in known if name not in {request.field for request in equations.requests}]
        if untouched:
            remedy = "Leave it out of fields, or use it."
            raise ValueError(checks.message("be used by an equation", "fields", untouched[0], remedy))
        return equations

    def residuals(self, values: Values, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "equations"]:
        """What is left of each equation at a point.

        Args:
            values: of all requests at that point.
            x: the point.
        """
        return torch.stack(self._call(values.__getitem__, x))

    def order(self, field: str, name: str) -> int:
        """The highest order of a field's derivatives by a coordinate."""
        place = self.domain.index(name)
        terms = [term for request in self.requests if request.field == field for term in request.operator]
        return max((term.count(place) for term in terms), default=0)

    def _call(self, look_up: Callable[[Request], Tensor], x: Tensor) -> list[Tensor]:
        given: dict[str, Any] = {name: Field(name, self.domain.names, look_up) for name in self.fields}
        given |= {name: x[place] for place, name in enumerate(self.domain.names)}
        found: list[Tensor] = []
        for function, names in self.functions:
            found += _numbers(function(*(given[name] for name in names)), function, x)
        return found


def functions_of(equation: Equation | Sequence[Equation]) -> tuple[Equation, ...]:
    """One equation or several as a tuple; an empty one for what is neither."""
    if callable(equation):
        return (equation,)
    return tuple(equation) if isinstance(equation, Sequence) and all(map(callable, equation)) else ()


def arguments(equation: Equation | Sequence[Equation]) -> tuple[str, ...]:
    """The names of all that equations take, each once, in order."""
    return tuple(dict.fromkeys(name for one in functions_of(equation) for name in _arguments(one)))


def _arguments(function: Equation) -> tuple[str, ...]:
    """The names of what an equation takes, in order."""
    names = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            must = "name each field and coordinate that it takes"
            raise ValueError(checks.message(must, "equation", f"{name} with a star", "Try lambda u, v: ..."))
        if parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.default is parameter.empty:
                must = "have a value: arguments after * are constants, which are not found by a solve"
                remedy = f"Give it one, as in lambda u, *, {name}=0.1: ..., or use functools.partial."
                raise ValueError(checks.message(must, "constant", name, remedy))
            continue
        if parameter.default is parameter.empty:
            names.append(name)
    return tuple(names)


def _check_known(name: str, fields: tuple[str, ...], domain: Domain) -> None:
    if name in fields:
        return
    everything = (*fields, *domain.names)
    near = difflib.get_close_matches(name, everything, 1, 0.3)
    remedy = f"Did you mean {near[0]!r}?" if near else f"Add it to fields={(*fields, name)}."
    must = f"be a field ({', '.join(fields)}) or a coordinate ({', '.join(domain.names)})"
    raise ValueError(checks.message(must, "an argument of the equation", name, remedy))


def _numbers(result: Any, function: Equation, x: Tensor) -> list[Tensor]:
    """What an equation returned, as tensors of shape ()."""
    if isinstance(result, Tensor) and result.dim() == 1:
        return list(result.unbind())
    parts = result if isinstance(result, tuple | list) else (result,)
    numbers = []
    for part in parts:
        value = part.value if isinstance(part, Field) else part
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = constant(float(value), x)
        if not isinstance(value, Tensor) or value.dim() or value.is_complex():
            came = repr(value)
            if isinstance(value, Tensor):
                came = f"a {'complex' if value.is_complex() else 'real'} tensor of shape {tuple(value.shape)}"
            name = getattr(function, "__name__", "equation")
            raise TypeError(
                f"{name} must return a real number for each equation, what is left of it at one point. "
                f"Got {came}. Write u.t - u.xx for u_t = u_xx, and a tuple for a system."
            )
        numbers.append(value.to(x.dtype))
    return numbers
