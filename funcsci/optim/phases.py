"""Learning rates as pure functions of the number of steps taken: curves one after another."""

import itertools
import math
from collections.abc import Sequence

import torch

from funcsci import checks
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.schedules import cosine, linear
from funcsci.tree import Scalar

ANNEAL_STRATEGIES = ("cos", "linear")


def join(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    r"""One schedule after another, $\eta_n = s_k(n - N_k)$ with $N_k$ the last milestone up to $n$.

    Args:
        schedules: $s_0, s_1, \ldots$, each a function of the steps since its own beginning.
        milestones: $N_1 < N_2 < \ldots$, the steps at which the second and the later ones begin.

    Returns:
        A function from the 0-d count to the 0-d rate.

    Raises:
        ValueError: if the milestones are not one fewer than the schedules, or do not rise.
        TypeError: if a milestone is not an integer.

    Example:
        >>> import torch
        >>> from funcsci.optim import constant
        >>> schedule = join([constant(1.0), linear(0.5, 10)], [100])
        >>> [float(schedule(torch.tensor(n))) for n in (99, 100, 105)]
        [1.0, 0.5, 0.25]

    Equal to `torch.optim.lr_scheduler.SequentialLR`.
    """
    if not schedules or len(milestones) != len(schedules) - 1:
        raise ValueError(
            f"milestones must be one fewer than schedules. Got {len(milestones)} milestones, "
            f"{len(schedules)} schedules. Give the step at which each but the first begins."
        )
    checks.integer(least=1, **{f"milestones[{place}]": one for place, one in enumerate(milestones)})
    if any(one >= other for one, other in itertools.pairwise(milestones)):
        raise ValueError(checks.message("rise", "milestones", list(milestones), "Try milestones=[10, 100]."))

    def rate(count: Scalar) -> Scalar:
        now = schedules[0](count)
        for begin, schedule in zip(milestones, schedules[1:], strict=True):
            now = torch.where(count >= begin, schedule(torch.clamp(count - begin, min=0)), now)
        return now

    return rate


def warmup_cosine(
    peak: float, steps: int, *, warmup_steps: int, start: float = 0.0, end: float = 0.0
) -> Schedule:
    r"""A straight rise to the peak, then half a cosine down.

    Args:
        peak: the rate at step `warmup_steps`.
        steps: the number of steps until `end` is reached, the rise included.
        warmup_steps: the number of steps of the rise, below `steps`; 0 for none.
        start: the rate of the first step.
        end: the rate from step `steps` on.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if a rate is negative, or the rise is not shorter than the whole.
        TypeError: if a number of steps is not an integer.

    Example:
        >>> import torch
        >>> schedule = warmup_cosine(0.1, 100, warmup_steps=10)
        >>> [round(float(schedule(torch.tensor(n))), 3) for n in (0, 5, 10, 55, 100)]
        [0.0, 0.05, 0.1, 0.05, 0.0]

    Source: Goyal et al. (2017), arXiv:1706.02677, section 2.2 (the rise); Loshchilov and Hutter (2017),
    arXiv:1608.03983, equation 5.

    Equal to `SequentialLR` of `LinearLR` and `CosineAnnealingLR`, and constant after its last step.
    """
    checks.non_negative(peak=peak, start=start, end=end)
    checks.integer(steps=steps, least=1)
    checks.integer(warmup_steps=warmup_steps, least=0)
    if warmup_steps >= steps:
        must = f"be below steps={steps}"
        raise ValueError(checks.message(must, "warmup_steps", warmup_steps, f"Try {steps // 10}."))
    down = cosine(peak, steps - warmup_steps, end=end)
    if warmup_steps == 0:
        return down
    return join([linear(start, warmup_steps, end=peak), down], [warmup_steps])


def one_cycle(
    max_lr: float,
    total_steps: int,
    *,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    r"""Up from a small rate to a large one, and down to a very small one.

    From `max_lr / div_factor` to `max_lr` at step $pN - 1$ with $p$ = `pct_start`, then to the first rate
    divided by `final_div_factor` at step $N - 1$; with three phases it is back at the first rate at step
    $2pN - 2$.

    Args:
        max_lr: the largest rate.
        total_steps: $N$, the number of steps.
        pct_start: $p$, the share of the rise, in [0, 1].
        anneal_strategy: `"cos"` for half a cosine in each phase, `"linear"` for a straight line.
        div_factor: the largest rate over the first, dimensionless.
        final_div_factor: the first rate over the last, dimensionless.
        three_phase: whether the fall mirrors the rise before the rate dies out.

    Returns:
        A function from the 0-d count to the 0-d rate, float64.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if `total_steps` is not an integer.

    Example:
        >>> import torch
        >>> schedule = one_cycle(1.0, 11, pct_start=0.5)
        >>> [round(float(schedule(torch.tensor(n))), 3) for n in (0, 2, 4, 10)]
        [0.04, 0.437, 0.971, 0.0]

    Source: Smith and Topin (2018), arXiv:1708.07120.

    Equal to `torch.optim.lr_scheduler.OneCycleLR` without its cycle of the momentum, and constant after
    step $N - 1$, where that one raises.
    """
    checks.positive(max_lr=max_lr, div_factor=div_factor, final_div_factor=final_div_factor)
    checks.integer(total_steps=total_steps, least=1)
    checks.finite(pct_start=pct_start)
    if not 0 <= pct_start <= 1:
        raise ValueError(checks.message("be in [0, 1]", "pct_start", pct_start, "Try pct_start=0.3."))
    checks.one_of(ANNEAL_STRATEGIES, anneal_strategy=anneal_strategy)
    first = max_lr / div_factor
    rise = pct_start * total_steps
    ends = [rise - 1, *([2 * rise - 2] if three_phase else []), total_steps - 1]
    rates = [first, max_lr, *([first] if three_phase else []), first / final_div_factor]

    def anneal(start: float, end: float, share: Scalar) -> Scalar:
        if anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + torch.cos(math.pi * share))

    def rate(count: Scalar) -> Scalar:
        step = count.to(torch.float64)
        now = torch.full_like(step, rates[-1])
        phases = zip([0.0, *ends[:-1]], ends, rates, rates[1:], strict=False)
        for begin, end, low, high in reversed(list(phases)):
            share = (step - begin) / (end - begin) if end > begin else torch.ones_like(step)
            now = torch.where(step <= end, anneal(low, high, share), now)
        return now

    return rate
