"""Quasi-Newton methods as pure functions of tensors, and the dense ones: Broyden's family."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.tree import Scalar

BROYDEN = ("bfgs", "ssbfgs", "ssbroyden")
"""Members of Broyden's family that keep a dense inverse Hessian."""
LEAST_RATIO = 1e-2
r"""The least $\rho$ of the self-scaled Broyden method: see `broyden_factors`."""


class Pair(NamedTuple):
    r"""What one step taught: $y \approx \nabla^2 f\, s$.

    Attributes:
        step: $s$, the change of the parameters.
        change: $y$, the change of the gradient.
        curvature: $s^\top B s$ by the old model, shape (); a step $\alpha$ along
            $p = -H g$ has $-\alpha^2 g^\top p$.
    """

    step: Float[Tensor, "parameters"]
    change: Float[Tensor, "parameters"]
    curvature: Scalar


class QuasiNewton(NamedTuple):
    """A method: three pure functions of tensors.

    Attributes:
        init: `init(params, scale)`, the model whose inverse Hessian is `scale` times the identity.
        update: `update(model, pair)`, the model that has learnt the pair.
        multiply: `multiply(model, gradient)`, the inverse Hessian times the gradient.
    """

    init: Callable[[Tensor, Scalar], Any]
    update: Callable[[Any, Pair], Any]
    multiply: Callable[[Any, Tensor], Tensor]


def useful(pair: Pair) -> Tensor:
    r"""Whether a pair's curvature is more than round-off.

    $$y^\top s > \epsilon \lVert y \rVert \lVert s \rVert$$

    Args:
        pair: in any units, which do not matter.

    Returns:
        A boolean of shape ().
    """
    size = torch.linalg.vector_norm(pair.step) * torch.linalg.vector_norm(pair.change)
    known: Tensor = pair.change @ pair.step > torch.finfo(size.dtype).eps * size
    return known


def broyden_factors(method: str, b: Scalar, h: Scalar, parameters: int) -> tuple[Scalar, Scalar]:
    r"""The scaling $\tau$ and the member $\phi$ of Broyden's family that a method takes.

    With $b = s^\top B s / y^\top s$, $h = y^\top H y / y^\top s$ and $a = b h - 1 \ge 0$,

    - `"bfgs"`: $\tau = \phi = 1$;
    - `"ssbfgs"`: $\tau = \min(1, 1/b)$, $\phi = 1$;
    - `"ssbroyden"`: $\phi = (1 - \theta)/\sigma$ with $\sigma = 1 + a \theta$, and

    $$\theta = \max\bigl(\tfrac{\rho - 1}{a}, \min(\tfrac1\rho, \tfrac{1 - b}{b})\bigr), \quad
    \rho = \min\bigl(1, h (1 - \sqrt{a / (1 + a)})\bigr),$$

    $$\tau = \min(1, \tfrac1b) \min(\sigma^{1/(1 - n)}, \tfrac1\theta) \text{ if } \theta > 0, \text{ else }
    \min\bigl(\min(1, \tfrac1b)\, \sigma^{1/(1 - n)}, \sigma\bigr).$$

    Args:
        method: one of `BROYDEN`.
        b: dimensionless, shape ().
        h: dimensionless, shape ().
        parameters: $n$.

    Returns:
        $\tau$ and $\phi$, shape ().

    Raises:
        ValueError: for an unknown method.

    Example:
        >>> import torch
        >>> broyden_factors("ssbfgs", torch.tensor(2.0), torch.tensor(1.0), 5)
        (tensor(0.5000), tensor(1.))

    Source: Al-Baali (1998), doi:10.1023/A:1022608410710; Urbán, Stefanou and Pons (2024),
    arXiv:2405.04230, eqs. 11 and 13-23.

    Differs from the paper: $\sigma$ is limited instead of $\theta$, which is the same but for
    $a \to 0$; and $\rho$ is at least 0.01, without which a step much longer than the model
    expected, $b \gg 1$, makes $H$ so large in all directions that round-off ends its positive definiteness.
    """
    checks.one_of(BROYDEN, method=method)
    one = torch.ones_like(b)
    if method == "bfgs":
        return one, one
    shrunk = torch.minimum(one, 1 / b)
    if method == "ssbfgs":
        return shrunk, one
    eps = torch.finfo(b.dtype).eps
    a = torch.clamp(b * h - 1, min=0.0)
    rest = 1 / ((1 + a) * (1 + torch.sqrt(a / (1 + a))))  # 1 - sqrt(a / (1 + a)), free of cancellation
    rho = torch.clamp(torch.minimum(one, h * rest), min=LEAST_RATIO)
    sigma = torch.maximum(rho, torch.minimum(1 + a / rho, 1 + a * (1 - b) / b))
    theta = (sigma - 1) / torch.clamp(a, min=eps)
    spread = shrunk * sigma ** (-1 / max(parameters - 1, 1))
    tau = torch.where(
        theta > 0, torch.minimum(spread, shrunk / torch.clamp(theta, min=eps)), torch.minimum(spread, sigma)
    )
    return tau, (1 - theta) / sigma


def broyden_update(
    method: str, inverse: Float[Tensor, "parameters parameters"], pair: Pair
) -> Float[Tensor, "parameters parameters"]:
    r"""The next inverse Hessian of Broyden's family, which maps $y$ to $s$.

    $$H' = \frac1\tau \Bigl(H - \frac{H y y^\top H}{y^\top H y} + \phi\, (y^\top H y)\, v v^\top\Bigr)
    + \frac{s s^\top}{y^\top s}, \quad v = \frac{s}{y^\top s} - \frac{H y}{y^\top H y},$$

    written as one update of rank two. A pair that is not `useful` changes nothing.

    Args:
        method: gives $\tau$ and $\phi$: see `broyden_factors`.
        inverse: $H$, symmetric and positive definite.
        pair: $s$, $y$ and $s^\top B s$.

    Returns:
        $H'$, symmetric and positive definite.

    Raises:
        ValueError: for an unknown method.

    Example:
        >>> import torch
        >>> step, change = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0])
        >>> broyden_update("bfgs", torch.eye(2), Pair(step, change, step @ step)) @ change
        tensor([1., 0.])

    Source: Broyden (1970), doi:10.1093/imamat/6.1.76; Urbán, Stefanou and Pons (2024),
    arXiv:2405.04230.
    """
    step, change, curvature = pair
    slope = change @ step
    image = inverse @ change
    spread = change @ image
    known, one = useful(pair), torch.ones_like(slope)
    slope, spread = torch.where(known, slope, one), torch.where(known, spread, one)
    tau, phi = broyden_factors(method, curvature / slope, spread / slope, step.shape[-1])
    steps = (phi * spread / (slope * tau) + 1) / slope
    mixed = -phi / (tau * slope)
    images = (phi - 1) / (tau * spread)
    left = torch.stack([steps * step + mixed * image, mixed * step + images * image], dim=-1)
    left = torch.where(known, left, torch.zeros_like(left))
    return torch.addcmul(left @ torch.stack([step, image]), inverse, torch.where(known, 1 / tau, one))


def dense(method: str) -> QuasiNewton:
    """A member of Broyden's family, whose model is the inverse Hessian itself.

    Args:
        method: one of `BROYDEN`.

    Raises:
        ValueError: for an unknown method.
    """
    checks.one_of(BROYDEN, method=method)

    def init(params: Tensor, scale: Scalar) -> Tensor:
        return scale * torch.eye(params.shape[0], dtype=params.dtype, device=params.device)

    def update(inverse: Tensor, pair: Pair) -> Tensor:
        return broyden_update(method, inverse, pair)

    return QuasiNewton(init, update, lambda inverse, gradient: inverse @ gradient)
