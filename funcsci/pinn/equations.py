"""Equations as a user writes them, made into residuals at a point."""

import difflib
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vjp, vmap

from funcsci import checks
from funcsci.compile import inside_transform
from funcsci.pinn.domain import Domain, constant
from funcsci.pinn.expressions import Call, Expression
from funcsci.pinn.field import Field, Recorder, Request
from funcsci.pinn.refusals import check_no_coordinate, explained

Equation: TypeAlias = Callable[..., Any]
"""Takes fields and coordinates by name; returns one residual, or several in a tuple or tensor."""
Values: TypeAlias = Mapping[Request, Tensor]
"""The number that each request of an equation has at a point."""


class Written(NamedTuple):
    """One equation as it was written.

    Attributes:
        function: the equation.
        names: of its arguments, in order.
        differentiates: whether it takes derivatives of expressions, and so is called with expressions.
    """

    function: Equation
    names: tuple[str, ...]
    differentiates: bool = False


@dataclass(frozen=True, eq=False)
class Equations:
    """One or several equations for one or several fields.

    Attributes:
        functions: the equations.
        fields: the unknown functions.
        domain: gives the coordinates.
        requests: all that the equations need of the fields at a point.
        count: how many numbers they return in all.
    """

    functions: tuple[Written, ...]
    fields: tuple[str, ...]
    domain: Domain
    requests: tuple[Request, ...]
    count: int

    @classmethod
    def of(
        cls,
        equation: Equation | Sequence[Equation],
        domain: Domain,
        fields: Sequence[str] | None = None,
        told: Sequence[str] = (),
    ) -> "Equations":
        """Find out what equations need.

        Args:
            equation: one function or several.
            domain: whose coordinates they may take as arguments.
            fields: the names of the unknown functions; None takes every other argument for one.
            told: names that are known to be of fields, against which others are read where there are too few
                equations for all.

        Raises:
            TypeError: if an equation is no function, returns no number, or needs a number where there is one
                for every point.
            ValueError: if an argument is neither coordinate nor field, there is no field, or there
                are fewer equations than fields.
        """
        functions = functions_of(equation)
        if not functions:
            remedy = "Try lambda u: u.tt + u."
            raise TypeError(checks.message("be a function or several", "equation", equation, remedy))
        written = tuple(Written(function, _arguments(function, domain.names)) for function in functions)
        asked = tuple(
            dict.fromkeys(name for one in written for name in one.names if name not in domain.names)
        )
        known = asked if fields is None else tuple(fields)
        for name in asked:
            _check_known(name, known, domain)
        for name in known:
            if name in domain.names or not name.isidentifier():
                remedy = f"The coordinates are {', '.join(domain.names)}. Choose another name."
                raise ValueError(checks.message("name no coordinate", "fields", name, remedy))
        if not known:
            must = f"take an unknown function beside the coordinates {', '.join(domain.names)}"
            raise ValueError(checks.message(must, "equation", equation, "Try lambda u: u.tt + u."))
        blank = cls((), known, domain, (), 0)
        read = [blank._read(one) for one in written]
        requests = tuple(dict.fromkeys(request for one in read for request in one.requests))
        count = sum(one.size for one in read)
        unused = [name for name in known if name not in {request.field for request in requests}]
        if told and (count < len(known) or unused):
            for name in asked:
                _check_known(name, tuple(told), domain)
        if count < len(known):
            raise ValueError(
                f"As many equations as fields are needed. Got {count} for {', '.join(known)}: "
                "the problem is under-determined. Add an equation, or leave out of fields= what is known."
            )
        if unused:
            remedy = "Leave it out of fields, or use it."
            raise ValueError(checks.message("be used by an equation", "fields", unused[0], remedy))
        return replace(blank, functions=tuple(one.written for one in read), requests=requests, count=count)

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

    @property
    def explicit(self) -> bool:
        """Whether an equation takes a coordinate as an argument."""
        return any(name in self.domain.names for one in self.functions for name in one.names)

    def _call(self, look_up: Callable[[Request], Tensor], x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for one in self.functions:
            call = Call(self.domain.names, x, look_up) if one.differentiates else None
            found += self._numbers(one, look_up, x, call)
        return found

    def _numbers(
        self, one: Written, look_up: Callable[[Request], Tensor], x: Tensor, call: Call | None
    ) -> list[Tensor]:
        """What one equation returns, called with tensors or, where there is a call, with expressions."""
        names = self.domain.names
        ask: Callable[[Request], Any] = look_up if call is None else call.leaf
        given: dict[str, Any] = {name: Field(name, names, ask) for name in self.fields}
        given |= {name: x[place] if call is None else call.leaf(place) for place, name in enumerate(names)}
        return _numbers(one.function(*(given[name] for name in one.names)), one.function, x)

    def _read(self, one: Written) -> "Read":
        """Call an equation once to see what it asks for and how many numbers it returns."""
        middle = [0.5 * (a + b) for a, b in zip(self.domain.lower, self.domain.upper, strict=True)]

        def called(differentiates: bool) -> Read:
            asked: dict[Request, None] = {}
            calls: list[Call] = []

            def at(x: Tensor, number: Tensor) -> Tensor:
                recorder = Recorder(number)
                if differentiates:
                    calls.append(Call(self.domain.names, x, recorder))
                found = self._numbers(one, recorder, x, calls[0] if calls else None)
                asked.update(recorder.requests)
                return torch.stack([x.new_zeros(()), *found])

            found, failed = None, None
            try:
                # What is done here is what is done later: a map over points, and derivatives by values.
                with torch.enable_grad():
                    found = vmap(lambda x, number: vjp(partial(at, x), number)[0])(
                        torch.tensor(2 * [middle]).double(), torch.full((2,), 0.5).double()
                    )
            except Exception as error:  # of the user's function, told below
                failed = error
            taken = bool(calls) and calls[0].differentiates
            size = 0 if found is None else found.shape[1] - 1
            return Read(one._replace(differentiates=taken), tuple(asked), size, found, failed)

        expressed = called(differentiates=True)
        read = expressed if expressed.written.differentiates else called(differentiates=False)
        what = " ".join(filter(None, ("the equation", _name(one.function))))
        if read.failed is not None:
            told = explained(read.failed, expressed.failed, what)
            raise told from (None if told is read.failed else read.failed)
        assert read.found is not None
        if read.found.requires_grad and not inside_transform():
            raise TypeError(
                f"Constants of {what} must not require a gradient: a solve finds "
                "its fields, and no constants. Got one that does. Pass constant.detach()."
            )
        return read


class Read(NamedTuple):
    """What was found out about one equation.

    Attributes:
        written: the equation.
        requests: what it asks of fields.
        size: how many numbers it returns.
        found: zero and these numbers, shape `(2, 1 + size)`; None where it failed.
        failed: what it raised.
    """

    written: Written
    requests: tuple[Request, ...]
    size: int
    found: Tensor | None
    failed: Exception | None


def functions_of(equation: Equation | Sequence[Equation]) -> tuple[Equation, ...]:
    """One equation or several as a tuple; an empty one for what is neither."""
    if callable(equation):
        return (equation,)
    return tuple(equation) if isinstance(equation, Sequence) and all(map(callable, equation)) else ()


def arguments(equation: Equation | Sequence[Equation]) -> tuple[str, ...]:
    """The names of all that equations take, each once, in order."""
    return tuple(dict.fromkeys(name for one in functions_of(equation) for name in _arguments(one, ())))


def _arguments(function: Equation, coordinates: tuple[str, ...]) -> tuple[str, ...]:
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
        else:
            check_no_coordinate(name, parameter.default, coordinates, "equation")
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
    result = _plain(result)
    if isinstance(result, Tensor) and result.dim() == 1 and result.dtype != torch.bool:
        return list(result.to(x.dtype).unbind()) if not result.is_complex() else _no_number(result, function)
    parts = result if isinstance(result, tuple | list) else (result,)
    found = []
    for part in parts:
        value = _plain(part)
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            value = constant(float(value), x)
        if not isinstance(value, Tensor) or value.dim() or value.is_complex() or value.dtype == torch.bool:
            _no_number(value, function)
        found.append(value.to(x.dtype))
    return found


def _plain(item: Any) -> Any:
    """A quantity's tensor, and anything else as it is."""
    item = item.value if isinstance(item, Field) else item
    return item.value if isinstance(item, Expression) else item


def _no_number(value: Any, function: Equation) -> NoReturn:
    came, remedy = repr(value), "Write u.t - u.xx for u_t = u_xx, and a tuple for a system."
    if isinstance(value, Tensor):
        kind = "complex" if value.is_complex() else "real"
        came = f"a {kind} tensor of shape {tuple(value.shape)}"
        if value.dtype == torch.bool:
            came = "a comparison, which is true or false"
    raise TypeError(
        f"{_name(function) or 'equation'} must return a real number for each equation, what is left of it at "
        f"one point. Got {came}. {remedy}"
    )


def _name(function: Equation) -> str:
    name = getattr(function, "__name__", "")
    return "" if name == "<lambda>" else str(name)
