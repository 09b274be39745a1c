"""Learning rates as pure functions of the number of steps taken: single curves."""

import math
from collections.abc import Sequence

import torch

from funcsci import checks
from funcsci.optim.learning_rate import Schedule
from funcsci.tree import Scalar


def constant(value: float) -> Schedule:
    r"""The same rate at every step, $\eta_n = \eta$; a piece for `join`.

    Args:
        value: $\eta$.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if the rate is negative.

    Example:
        >>> import torch
        >>> constant(0.1)(torch.tensor(7))
        tensor(0.1000, dtype=torch.float64)

    Differs from a number for a rate, which stands in the state, where it can be replaced.
    """
    checks.non_negative(value=value)
    return lambda count: torch.full_like(count, value, dtype=torch.float64)


def linear(start: float, steps: int, *, end: float = 0.0) -> Schedule:
    r"""A straight line from one rate to another.

    $\eta_n = \eta_s + (\eta_e - \eta_s)\, n / N$ for $n \le N$, then $\eta_e$.

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
        >>> linear(0.1, 100)(torch.tensor(25))
        tensor(0.0750, dtype=torch.float64)

    Equal to `torch.optim.lr_scheduler.LinearLR`.
    """
    checks.non_negative(start=start, end=end)
    checks.integer(steps=steps, least=1)
    return lambda count: start + (end - start) * _share(count, steps)


def polynomial(start: float, steps: int, *, power: float = 1.0, end: float = 0.0) -> Schedule:
    r"""A power of the steps that are left.

    $\eta_n = \eta_e + (\eta_s - \eta_e)(1 - n / N)^p$ for $n \le N$, then $\eta_e$.

    Args:
        start: $\eta_s$, the rate of the first step.
        steps: $N$, the number of steps until `end` is reached.
        power: $p$, dimensionless, positive.
        end: $\eta_e$, the rate from step $N$ on.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if a rate is negative, or `steps` or `power` is not positive.
        TypeError: if `steps` is not an integer.

    Example:
        >>> import torch
        >>> polynomial(0.1, 100, power=2.0)(torch.tensor(50))
        tensor(0.0250, dtype=torch.float64)

    Equal to `torch.optim.lr_scheduler.PolynomialLR`, which ends at 0.
    """
    checks.non_negative(start=start, end=end)
    checks.integer(steps=steps, least=1)
    checks.positive(power=power)
    return lambda count: end + (start - end) * (1 - _share(count, steps)) ** power


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
    return lambda count: end + 0.5 * (start - end) * (1 + torch.cos(math.pi * _share(count, steps)))


def exponential(start: float, gamma: float, *, steps: int = 1, staircase: bool = False) -> Schedule:
    r"""A constant share of the rate lost in each period, $\eta_n = \eta_s \gamma^{n / N}$.

    Args:
        start: $\eta_s$, the rate of the first step.
        gamma: $\gamma$, the factor of each period, dimensionless, positive.
        steps: $N$, the number of steps in a period.
        staircase: whether the rate falls at the end of each period alone, with the whole part of $n / N$.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if `steps` is not an integer.

    Example:
        >>> import torch
        >>> exponential(0.1, 0.5, steps=10)(torch.tensor(20))
        tensor(0.0250, dtype=torch.float64)

    Equal to `torch.optim.lr_scheduler.ExponentialLR` with `steps=1`, to `StepLR` with `staircase=True`.
    """
    checks.non_negative(start=start)
    checks.positive(gamma=gamma)
    checks.integer(steps=steps, least=1)

    def rate(count: Scalar) -> Scalar:
        periods = count.to(torch.float64) / steps
        return start * gamma ** (torch.floor(periods) if staircase else periods)

    return rate


def piecewise(start: float, milestones: Sequence[int], *, gamma: float = 0.1) -> Schedule:
    r"""A rate that falls at given steps, $\eta_n = \eta_s \gamma^k$ for $k$ milestones up to step $n$.

    For other values, `join` a `constant` for each piece.

    Args:
        start: $\eta_s$, the rate of the first step.
        milestones: the steps from which on another factor holds; one that stands twice counts twice.
        gamma: $\gamma$, the factor of each, dimensionless, positive.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if a milestone is not an integer.

    Example:
        >>> import torch
        >>> [float(piecewise(0.5, [10, 20], gamma=0.5)(torch.tensor(n))) for n in (9, 10, 25)]
        [0.5, 0.25, 0.125]

    Equal to `torch.optim.lr_scheduler.MultiStepLR`.
    """
    checks.non_negative(start=start)
    checks.positive(gamma=gamma)
    checks.integer(least=0, **{f"milestones[{place}]": one for place, one in enumerate(milestones)})

    def rate(count: Scalar) -> Scalar:
        passed = torch.zeros_like(count, dtype=torch.float64)
        for milestone in milestones:
            passed = passed + (count >= milestone)
        return start * gamma**passed

    return rate


def _share(count: Scalar, steps: int) -> Scalar:
    """How much of the way is behind, from 0 to 1."""
    return torch.clamp(count.to(torch.float64) / steps, max=1.0)
