r"""Dense solvers of the damped equations $(J^\top J + \lambda D^2)\, v = -J^\top r$.

All work in scaled parameters $w = D v$, with $K = J D^{-1}$, and reduce $K$ to a square matrix of the
smaller of its sides before any damping is known, so that another damping costs little. Where residuals
are fewer than parameters this is the dual form, $w = -K^\top (K K^\top + \lambda)^{-1} r$.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Factor(NamedTuple):
    """The equations for one damping.

    Attributes:
        solve: from residuals to the scaled step.
        failed: whether round-off made this damping unusable, shape ().
    """

    solve: Callable[[Tensor], Tensor]
    failed: Bool[Tensor, ""]


Damped: TypeAlias = Callable[[float | Tensor], Factor]
"""From a damping to its factor."""
Factorize: TypeAlias = Callable[[Tensor], Damped]
"""From the scale, the diagonal of $D$, to what factorizes for any damping."""


def cholesky(jacobian: Float[Tensor, "residuals parameters"], scale: Float[Tensor, "parameters"]) -> Damped:
    """By a Cholesky factor of the normal equations: the quickest, good to the root of round-off."""
    scaled = jacobian / scale
    if scaled.shape[0] < scaled.shape[1]:
        dual = cholesky_of_gram(scaled @ scaled.mT, lambda r: r)

        def damped(damping: float | Tensor) -> Factor:
            factor = dual(damping)
            return Factor(lambda r: scaled.mT @ factor.solve(r), factor.failed)

        return damped
    return cholesky_of_gram(scaled.mT @ scaled, lambda r: scaled.mT @ r)


def cholesky_of_gram(gram: Float[Tensor, "side side"], pull: Callable[[Tensor], Tensor]) -> Damped:
    r"""By a Cholesky factor of $G + \lambda$, where $G = K^\top K$ and `pull` is $K^\top$, or duals."""
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)

    def damped(damping: float | Tensor) -> Factor:
        factor, failed = torch.linalg.cholesky_ex(gram + damping * identity)
        return Factor(lambda r: -torch.cholesky_solve(pull(r)[:, None], factor)[:, 0], failed != 0)

    return damped


def qr(jacobian: Float[Tensor, "residuals parameters"], scale: Float[Tensor, "parameters"]) -> Damped:
    r"""By QR of $K$ (or $K^\top$), then of its triangle above $\sqrt\lambda$: squares no condition number."""
    scaled = jacobian / scale
    tall = scaled.shape[0] >= scaled.shape[1]
    orthogonal, upper = torch.linalg.qr(scaled if tall else scaled.mT)
    square = upper if tall else upper.mT
    identity = torch.eye(len(square), dtype=square.dtype, device=square.device)

    def damped(damping: float | Tensor) -> Factor:
        root = torch.as_tensor(damping, dtype=square.dtype, device=square.device).sqrt()
        both, triangle = torch.linalg.qr(torch.cat([square, root * identity]))
        above = both[: len(square)]

        def solve(r: Tensor) -> Tensor:
            target = above.mT @ (orthogonal.mT @ r if tall else r)
            step: Tensor = -torch.linalg.solve_triangular(triangle, target[:, None], upper=True)[:, 0]
            return step if tall else orthogonal @ step

        return Factor(solve, (triangle.diagonal() == 0).any())

    return damped


def svd(jacobian: Float[Tensor, "residuals parameters"], scale: Float[Tensor, "parameters"]) -> Damped:
    r"""By singular values, $w = -V \frac{\sigma}{\sigma^2 + \lambda} U^\top r$, for any damping at once."""
    left, values, right = torch.linalg.svd(jacobian / scale, full_matrices=False)

    def damped(damping: float | Tensor) -> Factor:
        filtered = values / (values**2 + damping)
        return Factor(lambda r: -(right.mT @ (filtered * (left.mT @ r))), (~torch.isfinite(filtered)).any())

    return damped


DENSE: dict[str, Callable[[Tensor, Tensor], Damped]] = {"cholesky": cholesky, "qr": qr, "svd": svd}
"""Each dense solver by its name."""
