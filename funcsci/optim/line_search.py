"""A line search: how far to go along a direction of descent."""

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from funcsci import checks

DECREASE, CURVATURE = 1e-4, 0.9
"""The Wolfe conditions' constants: the share of the slope that a step must gain, and that it may leave."""
EVALUATIONS = 40
"""One search evaluates the function at most this often."""
LEAST_GROWTH, MOST_GROWTH = 1.1, 9.0
"""While the minimum is still ahead, an advance is this many times the last one."""
RETREAT = 0.1
"""Where the function is not finite, the next step goes this share of the way there."""
MARGIN = 1e-3
"""A trial inside an interval keeps this share of its width away from both ends."""
SHRINK = 0.5
"""Two trials must shorten the interval to this share; if not, the next one halves it."""


class Trial(NamedTuple):
    """A function's value and slope at one step along a line.

    Attributes:
        step: the distance from the start, in units of the direction.
        value: the function there.
        slope: its derivative by `step`.
        place: whatever else the caller wants to keep of that point.
    """

    step: float
    value: float
    slope: float
    place: Any = None

    @property
    def finite(self) -> bool:
        """Whether both numbers are."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


class Found(NamedTuple):
    """What `wolfe` returns.

    Attributes:
        trial: the point found; the start itself where no step was better.
        satisfied: whether it meets the strong Wolfe conditions.
        evaluations: how often the function was evaluated.
    """

    trial: Trial
    satisfied: bool
    evaluations: int


def wolfe(
    evaluate: Callable[[float], Trial],
    start: Trial,
    first: float = 1.0,
    *,
    noise: float = 0.0,
    decrease: float = DECREASE,
    curvature: float = CURVATURE,
) -> Found:
    r"""A step that meets the strong Wolfe conditions.

    $$\varphi(\alpha) \le \varphi(0) + c_1 \alpha \varphi'(0) + \eta, \qquad
    \lvert \varphi'(\alpha) \rvert \le c_2 \lvert \varphi'(0) \rvert.$$

    It goes ahead until an interval holds such a step and then narrows that, by cubic
    interpolation kept off the ends, halving where that is slow. Values closer than $\eta$ are not
    compared: there the slopes decide, which round-off leaves precise much longer. Points where the
    function is not finite count as too far.

    Args:
        evaluate: `evaluate(step)`, the function and its slope at a step.
        start: the function at step 0; its slope must be negative.
        first: the first step to try.
        noise: $\eta$, by how much values are wrong, in their units.
        decrease: $c_1$, dimensionless.
        curvature: $c_2$, dimensionless, above $c_1$ and below 1.

    Returns:
        The step found; after 40 evaluations, or where steps can no longer be told apart, the best one
        that meets the first condition and lowers the value, or the start. `satisfied` tells which.

    Raises:
        ValueError: if the start's slope is not negative or `first` not positive.

    Example:
        >>> line = lambda step: Trial(step, (step - 3) ** 2, 2 * (step - 3))
        >>> wolfe(line, line(0.0)).trial.step
        1.0
        >>> wolfe(line, line(0.0), curvature=0.1).trial.step
        3.0

    Source: Nocedal and Wright (2006), doi:10.1007/978-0-387-40065-5, algorithms 3.5 and 3.6; Moré and
    Thuente (1994), doi:10.1145/192115.192132 (the interval must shrink); Hager and Zhang (2005),
    doi:10.1137/030601880 (slopes decide within the noise).
    """
    checks.positive(first=first)
    if not start.slope < 0:
        raise ValueError(
            checks.message("have a negative slope", "start", start.slope, "Pass a direction of descent.")
        )
    previous, low, high = start, start, None
    width, widths = math.inf, (math.inf, math.inf)
    step = first
    for count in range(1, EVALUATIONS + 1):
        trial = evaluate(step)
        if (trial.value, trial.slope) == (low.value, low.slope):
            break  # the parameters are too coarse to tell these steps apart
        ceiling = min(start.value + decrease * step * start.slope, low.value) + noise
        if not trial.finite or trial.value > ceiling:
            high = trial
        elif abs(trial.slope) <= -curvature * start.slope:
            return Found(trial, True, count)
        else:
            if trial.slope * (trial.step - low.step) > 0:
                high = low
            previous, low = low, trial
        if high is None:
            step = _beyond(previous, low)
            continue
        width = abs(high.step - low.step)
        if width <= sys.float_info.epsilon * max(low.step, high.step):
            break
        step = _between(low, high, noise, halve=width > SHRINK * widths[0])
        widths = (widths[1], width)
    return Found(low if low.value < start.value else start, False, count)


def _beyond(previous: Trial, low: Trial) -> float:
    """The next step where the function still falls: the cubic's minimum, within the limits of growth."""
    advance = low.step - previous.step
    least, most = low.step + LEAST_GROWTH * advance, low.step + MOST_GROWTH * advance
    ahead = _cubic(previous, low)
    return min(max(ahead, least), most) if ahead > low.step else most  # the second for nan, too


def _between(low: Trial, high: Trial, noise: float, *, halve: bool) -> float:
    """The next step inside an interval."""
    width = high.step - low.step
    if not high.finite:
        return low.step + RETREAT * width
    if halve:
        share = 0.5
    elif abs(high.value - low.value) <= noise and low.slope * high.slope < 0:
        share = low.slope / (low.slope - high.slope)
    else:
        share = (_cubic(low, high) - low.step) / width
    if not math.isfinite(share):
        share = 0.5
    return low.step + min(max(share, MARGIN), 1 - MARGIN) * width


def _cubic(one: Trial, other: Trial) -> float:
    """Where the cubic through two points with their slopes is least; nan if it has no minimum."""
    width = other.step - one.step
    mean = one.slope + other.slope - 3 * (other.value - one.value) / width
    square = mean * mean - one.slope * other.slope
    if not 0 <= square < math.inf:
        return math.nan
    root = math.copysign(math.sqrt(square), width)
    bend = other.slope - one.slope + 2 * root
    return other.step - width * (other.slope + root - mean) / bend if bend != 0 else math.nan
