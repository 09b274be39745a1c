"""What a problem is, in a form that a file can hold, and in what two problems differ."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from funcsci.compile.fingerprint import Fingerprint, content, difference, fingerprint
from funcsci.pinn.conditions import Condition
from funcsci.pinn.equations import Equations
from funcsci.pinn.faces import faces
from funcsci.pinn.field import Request
from funcsci.pinn.problem import Problem


def identity(problem: Problem) -> dict[str, Any]:
    """Fields, domain, equations and conditions as JSON can hold them.

    Functions are told by their fingerprints, and data by their digests. What does not change the
    solution is left out: the reference, and the text.
    """
    return {
        "fields": list(problem.fields),
        "domain": [[name, *span] for name, span in problem.domain.ranges.items()],  # JSON may sort a dict
        "equations": _equations(problem.equations),
        "conditions": [_condition(problem, one) for one in problem.conditions],
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any], *, traced: bool = True) -> list[str]:
    """In what two problems differ, in words; nothing for one and the same.

    Args:
        then: the `identity` of one, from a file.
        now: that of the other.
        traced: whether fingerprints can be compared, as those of one version of torch.
    """
    found = []
    if then["fields"] != now["fields"]:
        found.append(
            f"the fields are {', '.join(now['fields'])}, where the file has {', '.join(then['fields'])}"
        )
    if then["domain"] != now["domain"]:
        found.append(f"the domain is {ranges(now)}, where the file has {ranges(then)}")
    if found:  # nothing else can be told apart then
        return found
    for name in ("equations", "conditions"):
        if len(then[name]) != len(now[name]):
            return [f"it has {_many(now, name)}, where the file has {_many(then, name)}"]
    if traced:
        several = len(now["equations"]) > 1
        for number, pair in enumerate(zip(then["equations"], now["equations"], strict=True), 1):
            change = difference(*map(_read, pair))
            if change is not None:
                found.append(f"{f'equation {number}' if several else 'the equation'} differs: {change}")
    for one, other in zip(then["conditions"], now["conditions"], strict=True):
        found += _of_conditions(one, other, traced)
    return found


def ranges(told: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The domain of an `identity`, as a problem is given it."""
    return {name: (start, end) for name, start, end in told["domain"]}


def _many(told: Mapping[str, Any], name: str) -> str:
    if name == "equations":
        return f"{len(told[name])} equations"
    return f"the conditions {', '.join(one['name'] for one in told[name]) or 'of none'}"


def _of_conditions(then: dict[str, Any], now: dict[str, Any], traced: bool) -> Iterator[str]:
    if then["name"] != now["name"]:
        yield f"{now['name']} stands where the file has {then['name']}"
        return
    for what in ("sides", "terms", "built in", "weight"):
        if then[what] != now[what]:
            yield f"{now['name']} differs: {what} {then[what]} then, {now[what]} now"
    for one, other in zip(then["values"], now["values"], strict=False):
        if "function" in one and "function" in other:
            change = difference(_read(one["function"]), _read(other["function"])) if traced else None
        elif "number" in one and "number" in other:
            change = None if one == other else f"{one['number']} then, {other['number']} now"
        else:
            pair = (_sort(one), _sort(other))
            stories = f"{pair[0]} then, {pair[1]} now" if pair[0] != pair[1] else f"other {pair[0]}"
            change = None if one == other else stories
        if change is not None:
            yield f"{now['name']} differs: {change}"
            return  # each edge of a condition has the same value


def _sort(value: dict[str, Any]) -> str:
    if "number" in value:
        return str(value["number"])
    return "a function" if "function" in value else "data"


def _read(told: dict[str, Any] | None) -> Fingerprint | None:
    return None if told is None else Fingerprint(told["digest"], told["operations"], tuple(told["numbers"]))


def _told(found: Fingerprint | None) -> dict[str, Any] | None:
    return None if found is None else found._asdict()


def _label(request: Request, domain: tuple[str, ...]) -> str:
    """A request in words, `u.xx+yy`, which does not depend on the order of requests."""
    terms = [" ".join(domain[place] for place in term) for term in request.operator]
    return f"{request.field}.{'+'.join(terms)}"


def _equations(equations: Equations) -> list[dict[str, Any] | None]:
    names = equations.domain.names
    labels = {request: _label(request, names) for request in equations.requests}
    half = torch.full((), 0.5, dtype=torch.float64)
    point = _middle(equations)

    def told(one: Any) -> dict[str, Any] | None:
        alone = replace(equations, functions=(one,))

        def residuals(values: dict[str, Tensor], x: dict[str, Tensor]) -> Tensor:
            at = {request: values[label] for request, label in labels.items()}
            return alone.residuals(at, torch.stack([x[name] for name in names]))

        return _told(fingerprint(residuals, dict.fromkeys(labels.values(), half), point))

    return [told(one) for one in equations.functions]


def _middle(equations: Equations) -> dict[str, Tensor]:
    ranges = equations.domain.ranges
    return {name: torch.tensor((a + b) / 2, dtype=torch.float64) for name, (a, b) in ranges.items()}


def _condition(problem: Problem, condition: Condition) -> dict[str, Any]:
    several = condition.kind == "periodic"
    field = None if several else problem.field_of(condition)
    values: list[dict[str, Any]] = []
    if condition.kind == "point":
        values = [_data(data) for one, data in problem.places if one is condition]
    elif not several:
        values = [_value(problem, face.value, face.data) for face in faces(condition, field, problem.domain)]  # type: ignore[arg-type]
    where = ", ".join(condition.coordinates)
    return {
        "name": f"{condition.kind}({where})" + (f" of {field}" if len(problem.fields) > 1 and field else ""),
        "sides": list(condition.sides),
        "terms": [list(term) for term in condition.terms],
        "built in": any(face.source is condition for face in problem.edges.hard),
        "weight": condition.weight,
        "values": values,
    }


def _value(problem: Problem, value: Any, data: tuple[Tensor, Tensor] | None) -> dict[str, Any]:
    if data is not None:
        return _data(data)
    if not callable(value):
        return {"number": float(value)}
    point = torch.stack(list(_middle(problem.equations).values()))
    return {"function": _told(fingerprint(value, point))}


def _data(data: tuple[Tensor, Tensor]) -> dict[str, Any]:
    return {"data": [content(one).hex() for one in data]}
