"""Learning rates as pure functions of the number of steps taken."""

import math

import torch

from funcsci import checks
from funcsci.optim.transform import Schedule
from funcsci.tree import Scalar


def cosine(start: float, steps: int, *, end: float = 0.0) -> Schedule:
    r"""Half a cosine from one rate to another.

    $\eta_n = \eta_e + \tfrac12 (\eta_s - \eta_e)(1 + \cos \pi n / N)$ for $n \le N$, then $\eta_e$.

    Args:
        start: $\eta_s$, the rate of the first step.
        steps: $N$, the number of steps until `end` is reached.
        end: $\eta_e$, the rate from step $N$ on.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if a rate is negative or `steps` is not positive.
        TypeError: if `steps` is not an integer.

    Example:
        >>> import torch
        >>> cosine(0.1, 100)(torch.tensor(50))
        tensor(0.0500, dtype=torch.float64)

    Source: Loshchilov and Hutter (2017), arXiv:1608.03983, equation 5, without restarts.

    Differs from `torch.optim.lr_scheduler.CosineAnnealingLR` after step $N$, where that one rises again.
    """
    checks.non_negative(start=start, end=end)
    checks.integer(steps=steps, least=1)

    def rate(count: Scalar) -> Scalar:
        share = torch.clamp(count.to(torch.float64) / steps, max=1.0)
        return end + 0.5 * (start - end) * (1 + torch.cos(math.pi * share))

    return rate
