"""The linear model of residuals at a point: what a step needs, however its equations are solved."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci.optim.jacobian import Rows
from funcsci.optim.krylov import cg, lsmr
from funcsci.optim.linear_solvers import DENSE, Damped, Factor, Factorize, cholesky_of_gram

Linear = Callable[[Tensor], Tensor]


class Linearization(NamedTuple):
    r"""$r(\theta + v) \approx r + J v$ at one point.

    Attributes:
        residual: $r$.
        slope: $J^\top r / \lVert r \rVert$, the gradient of the residual's norm; zero where $r$ is.
        norms: the norms of the columns of $J$.
        apply: $v \mapsto J v$.
        transpose: $w \mapsto J^\top w$.
        factorize: what solves the damped equations in the scaled parameters $D \theta$:
            `factorize(scale)(damping)` is a `Factor`, where `scale` is the diagonal of $D$.
    """

    residual: Float[Tensor, "residuals"]
    slope: Float[Tensor, "parameters"]
    norms: Float[Tensor, "parameters"]
    apply: Linear
    transpose: Linear
    factorize: Factorize

    @property
    def finite(self) -> bool:
        """Whether a step can start here."""
        return bool(torch.isfinite(self.residual).all()) and bool(torch.isfinite(self.norms).all())

    @property
    def cosine(self) -> float:
        """The largest cosine of the angle between the residual and a column of the Jacobian."""
        return float((self.slope.abs() / positive(self.norms)).max())


def positive(norms: Tensor) -> Tensor:
    """The norms with 1 for zero, to divide by."""
    return torch.where(norms > 0, norms, torch.ones_like(norms))


def dense(rows: Rows, solver: str) -> Linearization:
    """The model with the Jacobian as a matrix.

    Args:
        rows: all residuals, and the Jacobian.
        solver: a name in `DENSE`.
    """
    r, jacobian = rows
    return Linearization(
        r,
        jacobian.mT @ (r / positive(torch.linalg.vector_norm(r))),
        torch.linalg.vector_norm(jacobian, dim=0),
        lambda v: jacobian @ v,
        lambda w: jacobian.mT @ w,
        partial(DENSE[solver], jacobian),
    )


def normal(blocks: Iterable[Rows], apply: Linear, transpose: Linear) -> Linearization:
    """The model with the normal equations, summed over blocks of rows, in place of the Jacobian.

    Args:
        blocks: the residuals and rows of the Jacobian, part by part.
        apply: as in `Linearization`.
        transpose: as in `Linearization`.
    """
    parts: list[Tensor] = []
    units = gram = slope = torch.zeros(())
    for r, rows in blocks:
        if not parts:  # units near those of the columns keep their squares within the dtype's range
            units = positive(torch.linalg.vector_norm(rows, dim=0))
        scaled = rows / units
        gram, slope = gram + scaled.mT @ scaled, slope + rows.mT @ r
        parts.append(r)
        del r, rows, scaled

    def factorize(scale: Tensor) -> Damped:
        ratio = units / scale
        return cholesky_of_gram(ratio[:, None] * gram * ratio, lambda r: transpose(r) / scale)

    return _of_parts(parts, slope, units * gram.diagonal().sqrt(), apply, transpose, factorize)


def matrix_free(
    blocks: Iterable[Rows], apply: Linear, transpose: Linear, solver: str, tol: float
) -> Linearization:
    """The model as two linear functions, with no matrix larger than a block of rows.

    Args:
        blocks: the residuals and rows of the Jacobian, part by part; what is kept of them is the
            norms of the columns.
        apply: as in `Linearization`.
        transpose: as in `Linearization`.
        solver: a name in `MATRIX_FREE`.
        tol: where the solver stops.
    """
    parts: list[Tensor] = []
    norms = slope = torch.zeros(())
    for r, rows in blocks:
        norms = torch.hypot(norms.to(rows), torch.linalg.vector_norm(rows, dim=0))
        slope = slope + rows.mT @ r
        parts.append(r)
        del r, rows

    def factorize(scale: Tensor) -> Damped:
        return lambda damping: _by_iteration(solver, norms, apply, transpose, scale, float(damping), tol)

    return _of_parts(parts, slope, norms, apply, transpose, factorize)


def _of_parts(
    parts: list[Tensor], slope: Tensor, norms: Tensor, apply: Linear, transpose: Linear, factorize: Factorize
) -> Linearization:
    r = torch.cat(parts)
    length = positive(torch.linalg.vector_norm(r))
    return Linearization(r, slope / length, norms, apply, transpose, factorize)


MATRIX_FREE = ("cg", "lsmr")
"""Solvers that need no matrix, in `krylov`."""
ROUNDS, MOST_ROUNDS = 10, 200
"""Iterations for each dimension, which round-off may call for where conditions are bad, and in all."""


def _by_iteration(
    solver: str,
    norms: Tensor,
    apply: Linear,
    transpose: Linear,
    scale: Tensor,
    damping: float,
    tol: float,
) -> Factor:
    def solve(r: Tensor) -> Tensor:
        most = min(MOST_ROUNDS, ROUNDS * min(len(r), len(scale)))
        scaled = (lambda w: apply(w / scale)), (lambda y: transpose(y) / scale)
        if solver == "cg":
            diagonal = (norms / scale) ** 2 + damping
            return -cg(*scaled, r, damping=damping, diagonal=diagonal, tol=tol, most=most)
        return -lsmr(*scaled, r, damping=damping, tol=tol, most=most)

    return Factor(solve, torch.zeros((), dtype=torch.bool, device=scale.device))
