"""Linear least squares for matrices of nearly dependent columns, as features of a network are."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

RIDGE = 4.5
"""The ridge, in units of round-off: large enough to bound the coefficients, too small to be seen."""


def linear_least_squares(
    matrix: Float[Tensor, "equations unknowns"], target: Float[Tensor, "equations"]
) -> Float[Tensor, "unknowns"]:
    r"""The coefficients that minimize $\lVert A x - b \rVert^2 + \epsilon^2 \lVert D x \rVert^2$.

    $D$ holds the norms of the columns and $\epsilon$ is a few units of round-off, so the ridge
    only chooses among solutions that are equally good to the precision at hand. Where columns depend
    on each other, $D x$ stays small if $b$ can be reached, and below $\lVert b \rVert / 2 \epsilon$
    if not. QR of the scaled and extended matrix, with one step of refinement; it needs no driver
    that CUDA lacks, and works under `vmap`.

    Args:
        matrix: $A$, shape `(equations, unknowns)`, of any rank.
        target: $b$, shape `(equations,)`, in the units of $A x$ and of the same dtype.

    Returns:
        $x$, shape `(unknowns,)`.

    Raises:
        ValueError: if the shapes do not fit.
        TypeError: if the dtypes differ or are not floating-point.

    Example:
        >>> import torch
        >>> linear_least_squares(torch.tensor([[1.0], [2.0]]), torch.tensor([2.0, 4.0]))
        tensor([2.])

    Source: Björck (1996), Numerical Methods for Least Squares Problems, doi:10.1137/1.9781611971484,
    sections 2.9 (refinement) and 5.3 (the extended matrix).

    Differs from `torch.linalg.lstsq`: rank-deficient and wide matrices are solved on every device, and
    it is $D x$, not $x$, that is kept small among solutions. No singular value is cut off, so a target
    out of reach gives large coefficients there.
    """
    if matrix.dim() != 2 or target.shape != matrix.shape[:1]:
        raise ValueError(
            "matrix and target must have as many rows. "
            f"Got matrix of shape {tuple(matrix.shape)}, target of shape {tuple(target.shape)}. "
            "Pass (equations, unknowns) and (equations,)."
        )
    if matrix.dtype != target.dtype or not matrix.is_floating_point():
        raise TypeError(
            "matrix and target must have one floating-point dtype. "
            f"Got {matrix.dtype} and {target.dtype}. Cast them to torch.float64."
        )
    factor = RidgeFactor.of(matrix)
    return factor.solve(target)


class RidgeFactor(NamedTuple):
    r"""A matrix's columns, brought to norm 1 and extended by the ridge, as $Q R$.

    Attributes:
        extended: $(A D^{-1}; \epsilon)$.
        norms: the diagonal of $D$, with 1 for a column of zeros.
        orthogonal: $Q$.
        upper: $R$.
    """

    extended: Float[Tensor, "extended unknowns"]
    norms: Float[Tensor, "unknowns"]
    orthogonal: Float[Tensor, "extended unknowns"]
    upper: Float[Tensor, "unknowns unknowns"]

    @classmethod
    def of(cls, matrix: Float[Tensor, "equations unknowns"]) -> "RidgeFactor":
        """Factorize a matrix of any rank."""
        unknowns = matrix.shape[1]
        norms = torch.linalg.vector_norm(matrix, dim=0)
        norms = torch.where(norms > 0, norms, torch.ones_like(norms))
        ridge = RIDGE * torch.finfo(matrix.dtype).eps * math.sqrt(unknowns)
        damping = ridge * torch.eye(unknowns, dtype=matrix.dtype, device=matrix.device)
        extended = torch.cat([matrix / norms, damping])
        return cls(extended, norms, *torch.linalg.qr(extended))

    def solve(self, target: Float[Tensor, "equations"]) -> Float[Tensor, "unknowns"]:
        """The coefficients for a target, with one step of refinement."""
        rhs = torch.cat([target, target.new_zeros(len(self.norms))])
        scaled = self._once(rhs)
        scaled = scaled + self._once(rhs - self.extended @ scaled)
        return scaled / self.norms

    def outside(self, vectors: Float[Tensor, "equations ..."]) -> Float[Tensor, "equations ..."]:
        """What of vectors, or of a matrix's columns, the matrix's columns cannot reach."""
        reached = self.orthogonal[: len(vectors)]
        return vectors - reached @ (reached.mT @ vectors)

    def _once(self, rhs: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.solve_triangular(
            self.upper, (self.orthogonal.mT @ rhs)[:, None], upper=True
        )
        return solved[:, 0]
