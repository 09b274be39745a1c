r"""Matrix-free solvers of damped least squares, $\min_x \lVert A x - b \rVert^2 + \lambda \lVert x \rVert^2$.

They need only $x \mapsto A x$ and $y \mapsto A^\top y$, and stop where the gradient
$A^\top (A x - b) + \lambda x$ has fallen to a share of its first norm. Both take their iterates from the
same Krylov spaces, and from any number of iterations $-x$ leads downhill.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Linear = Callable[[Tensor], Tensor]


def cg(
    apply: Linear,
    transpose: Linear,
    b: Float[Tensor, "rows"],
    *,
    damping: float = 0.0,
    diagonal: Float[Tensor, "columns"] | None = None,
    tol: float = 1e-8,
    most: int = 1000,
) -> Float[Tensor, "columns"]:
    r"""Preconditioned conjugate gradients on the normal equations, which are never formed.

    Args:
        apply: $x \mapsto A x$.
        transpose: $y \mapsto A^\top y$.
        b: $b$.
        damping: $\lambda \ge 0$.
        diagonal: that of $A^\top A + \lambda$, the preconditioner; None for ones.
        tol: the share of the gradient's first norm at which to stop.
        most: the most iterations.

    Returns:
        $x$.

    Example:
        >>> import torch
        >>> a = torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
        >>> torch.round(cg(lambda x: a @ x, lambda y: a.T @ y, torch.tensor([6.0, 2.0, 5.0])), decimals=4)
        tensor([2., 1.])

    Source: Björck (1996), Numerical Methods for Least Squares Problems, doi:10.1137/1.9781611971484,
    section 7.4 (CGLS, preconditioned and damped).
    """
    rest = b
    downhill = transpose(b)
    x = torch.zeros_like(downhill)
    weights = torch.ones_like(x) if diagonal is None else diagonal
    natural = downhill / weights
    direction = natural
    energy = float(downhill @ natural)
    target = tol * float(torch.linalg.vector_norm(downhill))
    for _ in range(most):
        if not float(torch.linalg.vector_norm(downhill)) > target:  # also for nan
            break
        ahead = apply(direction)
        length = energy / float(ahead @ ahead + damping * (direction @ direction))
        x = x + length * direction
        rest = rest - length * ahead
        downhill = transpose(rest) - damping * x
        natural = downhill / weights
        energy, before = float(downhill @ natural), energy
        direction = natural + (energy / before) * direction
    return x


def lsmr(
    apply: Linear,
    transpose: Linear,
    b: Float[Tensor, "rows"],
    *,
    damping: float = 0.0,
    tol: float = 1e-8,
    most: int = 1000,
) -> Float[Tensor, "columns"]:
    r"""LSMR: the norm of the gradient falls with every iteration, so that stopping early is safe.

    Golub and Kahan's bidiagonalization of $A$ is followed by two sequences of rotations; a third one
    for the damping precedes them. The names in the code are those of the paper.

    Args:
        apply: $x \mapsto A x$.
        transpose: $y \mapsto A^\top y$.
        b: $b$.
        damping: $\lambda \ge 0$.
        tol: the share of the gradient's first norm at which to stop.
        most: the most iterations.

    Returns:
        $x$.

    Example:
        >>> import torch
        >>> a = torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
        >>> torch.round(lsmr(lambda x: a @ x, lambda y: a.T @ y, torch.tensor([6.0, 2.0, 5.0])), decimals=4)
        tensor([2., 1.])

    Source: Fong and Saunders (2011), doi:10.1137/10079687X, arXiv:1006.0758, sections 2 and 5.
    """
    u, beta = _unit(b)
    v, alpha = _unit(transpose(u))
    x = torch.zeros_like(v)
    h, h_bar = v, torch.zeros_like(v)
    alpha_bar, zeta_bar = alpha, alpha * beta
    rho, rho_bar, c_bar, s_bar = 1.0, 1.0, 1.0, 0.0
    target, root = tol * abs(zeta_bar), math.sqrt(damping)
    for _ in range(most):
        if not abs(zeta_bar) > target:  # also for nan
            break
        u, beta = _unit(apply(v) - alpha * u)
        v, alpha = _unit(transpose(u) - beta * v)
        alpha_hat = math.hypot(alpha_bar, root)
        rho_before, rho = rho, math.hypot(alpha_hat, beta)
        c, s = alpha_hat / rho, beta / rho
        theta, alpha_bar = s * alpha, c * alpha
        rho_bar_before, theta_bar = rho_bar, s_bar * rho
        rho_bar = math.hypot(c_bar * rho, theta)
        c_bar, s_bar = c_bar * rho / rho_bar, theta / rho_bar
        zeta, zeta_bar = c_bar * zeta_bar, -s_bar * zeta_bar
        h_bar = h - (theta_bar * rho / (rho_before * rho_bar_before)) * h_bar
        x = x + (zeta / (rho * rho_bar)) * h_bar
        h = v - (theta / rho) * h
    return x


def _unit(vector: Tensor) -> tuple[Tensor, float]:
    """The vector at length 1, unless it is zero, and its length."""
    length = float(torch.linalg.vector_norm(vector))
    return (vector / length if length > 0 else vector), length
