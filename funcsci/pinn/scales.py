r"""Scales of fields and of equations, so that units do not matter.

In units of their scales $U_f$ and $S_e$ all fields are of size one, and so is the largest term of each equation.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from funcsci.pinn.equations import Equations

Matrix = NDArray[np.float64]


class Linearized(NamedTuple):
    """Equations at some points, linearized at what conditions make of the fields.

    Attributes:
        slopes: the derivative of each equation by each request, shape `(n, equations, requests)`.
        residuals: what is left of the equations, shape `(n, equations)`.
        fields: the fields, shape `(n, fields)`.
    """

    slopes: Tensor
    residuals: Tensor
    fields: Tensor


class Scales(NamedTuple):
    """The sizes that count as one; powers of two, so that dividing by them rounds nothing.

    Attributes:
        fields: $U_f$, in the units of each field.
        equations: $S_e$, in the units of each equation.
        coupling: the largest term of each equation in each field, in those units: at most about one, shape
            `(equations, fields)`.
    """

    fields: tuple[float, ...]
    equations: tuple[float, ...]
    coupling: tuple[tuple[float, ...], ...]


def scales(equations: Equations, at_points: Linearized, data: Sequence[tuple[str, float]] = ()) -> Scales:
    r"""The scales of a problem.

    A term $a\, \partial^\alpha u_f$ of an equation has the size $B_{ef} U_f$ with $B_{ef} = \max |a| \prod_i
    L_i^{-\alpha_i}$, for a field that is smooth. Scales make these sizes as equal as they can be: they minimize
    $\sum_{ef} (\log B_{ef} U_f / S_e)^2$. What this leaves open, one factor for all fields that are coupled, is set by
    the data: the largest of the given fields, the sources and the conditions is of size one.

    Args:
        equations: the equations.
        at_points: the equations, linearized.
        data: further sizes by field, such as the values that conditions ask for.

    Source: Curtis and Reid (1972), doi:10.1093/imamat/10.1.118.
    """
    sizes = np.array(
        [
            max(math.prod(1 / equations.domain.lengths[place] for place in term) for term in request.operator)
            for request in equations.requests
        ]
    )
    terms = _rms(at_points.slopes) * sizes  # (equations, requests)
    field_of = np.array([equations.fields.index(request.field) for request in equations.requests])
    largest = np.stack(
        [terms[:, field_of == place].max(1, initial=0.0) for place in range(len(equations.fields))], 1
    )
    of_fields, of_equations = _balanced(largest)
    given, sources = _rms(at_points.fields), _rms(at_points.residuals)
    for name, size in data:
        place = equations.fields.index(name)
        given[place] = max(given[place], size)
    for fields, rows in _coupled(largest):
        found = [*(given[fields] / of_fields[fields]), *(sources[rows] / of_equations[rows])]
        size = max((one for one in found if 0 < one < math.inf), default=1.0)
        of_fields[fields] *= size
    of_fields = 2.0 ** np.round(np.log2(of_fields))
    of_equations = (largest * of_fields).max(1, initial=0.0)
    of_equations = np.where(of_equations > 0, of_equations, sources)
    of_equations = np.where((of_equations > 0) & np.isfinite(of_equations), of_equations, 1.0)
    of_equations = 2.0 ** np.round(np.log2(of_equations))
    coupling = largest * of_fields / of_equations[:, None]
    return Scales(
        tuple(of_fields.tolist()), tuple(of_equations.tolist()), tuple(map(tuple, coupling.tolist()))
    )


def steepness(equations: Equations, at_points: Linearized) -> float:
    r"""How steep a solution may be by its equations' coefficients, in units of half of the domain.

    Where $a\, \partial_i^m u$ and $b\, \partial_i^n u$ with $m > n$ stand in one equation, layers may have the length
    $|a / b|^{1 / (m - n)}$.
    """
    coefficients, steepest = _rms(at_points.slopes), 0.0
    for place, length in enumerate(equations.domain.lengths):
        orders = np.array(
            [max(term.count(place) for term in request.operator) for request in equations.requests]
        )
        for field in equations.fields:
            own = np.array([request.field == field for request in equations.requests])
            for row in coefficients:
                terms = [(orders[column], row[column]) for column in np.nonzero(own & (row > 0))[0]]
                for (high, a), (low, b) in itertools.permutations(terms, 2):
                    if high > low:
                        steepest = max(steepest, 0.5 * length * (b / a) ** (1 / (high - low)))
    return float(steepest)


def _rms(values: Tensor) -> Matrix:
    """The root mean square over points, of those that are finite."""
    finite = torch.isfinite(values)
    many = finite.sum(0).clamp(min=1)
    largest = torch.where(finite, values, 0.0).abs().amax(0).clamp(min=torch.finfo(values.dtype).tiny)
    shares = torch.where(finite, values / largest, 0.0)  # squares of large numbers would overflow
    root = largest * (shares.square().sum(0) / many).sqrt()
    return np.asarray(torch.where(shares.abs().amax(0) > 0, root, 0.0).double().cpu().numpy())


def _balanced(largest: Matrix) -> tuple[Matrix, Matrix]:
    """The scales of fields and of equations between which the logarithms of all terms are smallest."""
    rows, columns = np.nonzero(largest)
    count, fields = largest.shape
    system = np.zeros((len(rows), count + fields))
    places = np.arange(len(rows))
    system[places, rows], system[places, count + columns] = 1.0, -1.0
    found = np.linalg.lstsq(system, np.log2(largest[rows, columns]), rcond=None)[0]
    return 2.0 ** found[count:], 2.0 ** found[:count]


def _coupled(largest: Matrix) -> list[tuple[list[int], list[int]]]:
    """The groups of fields that share an equation, each with its equations."""
    groups: list[tuple[set[int], set[int]]] = [({place}, set()) for place in range(largest.shape[1])]
    for row, terms in enumerate(largest):
        members = set(np.nonzero(terms)[0].tolist())
        touched = [group for group in groups if group[0] & members]
        if not touched:
            continue
        groups = [group for group in groups if group not in touched]
        groups.append(
            (set.union(*(fields for fields, _ in touched)), {row}.union(*(rows for _, rows in touched)))
        )
    return [(sorted(fields), sorted(rows)) for fields, rows in groups]
