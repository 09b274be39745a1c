"""How fast an equation's solution can change: read off its linearization."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jacrev

from funcsci.pinn.equations import Equations
from funcsci.pinn.field import Request


class Timescales(NamedTuple):
    """Of an ordinary differential equation at its start.

    Attributes:
        rate: the geometric mean of its rates, per unit of the coordinate.
        decay: the fastest exponential decay, per unit of the coordinate.
    """

    rate: float
    decay: float


def slopes(equations: Equations, values: dict[Request, Tensor], x: Tensor) -> Tensor:
    """The derivatives of each equation by each request, shape `(equations, requests)`, at a point."""
    stacked = torch.stack([values[request] for request in equations.requests])

    def residuals(stacked: Tensor) -> Tensor:
        return equations.residuals(dict(zip(equations.requests, stacked.unbind(), strict=True)), x)

    found: Tensor = jacrev(residuals)(stacked)
    return found


def leading(equations: Equations, slope: Tensor) -> NDArray[np.float64] | None:
    """The matrix of the highest derivatives of ordinary equations; None where they are not determined by it.

    Args:
        equations: in one coordinate.
        slope: their derivatives by the requests at a point, shape `(equations, requests)`.
    """
    (name,) = equations.domain.names
    orders = {field: equations.order(field, name) for field in equations.fields}
    if len(slope) != len(orders) or min(orders.values()) == 0 or not bool(torch.isfinite(slope).all()):
        return None
    matrices = _matrices(equations, slope)
    nothing = np.zeros(len(slope))
    highest = np.stack([matrices.get((field, most), nothing) for field, most in orders.items()], 1)
    sizes = np.abs(highest).max(1, initial=0.0, keepdims=True)
    if not sizes.all() or np.linalg.cond(highest / sizes) > 1e10:
        return None
    return highest


def _matrices(equations: Equations, slope: Tensor) -> dict[tuple[str, int], NDArray[np.float64]]:
    """The column of each field's derivative of each order."""
    columns = slope.double().cpu().numpy().T
    pairs = zip(equations.requests, columns, strict=True)
    return {(request.field, len(request.operator[0])): column for request, column in pairs}


def timescales(equations: Equations, slope: Tensor) -> Timescales:
    r"""The rates of a system of ordinary differential equations, from its slopes at the start.

    With $F \approx \sum_k A_k u^{(k)}$ they are the sizes of the roots of $\det \sum_k A_k \lambda^k$, the
    eigenvalues of its companion matrix. Where the system cannot be solved for its highest derivatives,
    the rate is one over the interval.
    """
    (length,) = equations.domain.lengths
    (name,) = equations.domain.names
    still = Timescales(1 / length, 0.0)
    orders = {field: equations.order(field, name) for field in equations.fields}
    states = [(field, order) for field, most in orders.items() for order in range(most)]
    highest = leading(equations, slope)
    if highest is None:
        return still
    matrices, nothing = _matrices(equations, slope), np.zeros(len(slope))
    lower = np.stack([matrices.get(state, nothing) for state in states], 1)
    solved = -np.linalg.solve(highest, lower)
    companion = np.zeros((len(states), len(states)))
    for row, (field, order) in enumerate(states):
        if order + 1 < orders[field]:
            companion[row, states.index((field, order + 1))] = 1.0
        else:
            companion[row] = solved[list(orders).index(field)]
    roots = np.linalg.eigvals(companion)
    mean = float(np.prod(np.abs(roots)) ** (1 / len(roots)))
    return Timescales(max(mean, 1 / length), float(max(0.0, (-roots.real).max())))
