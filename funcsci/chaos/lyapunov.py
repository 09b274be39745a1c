"""The largest Lyapunov exponent of a map: how fast its nearest states part, by its derivative."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, progress, random
from funcsci.compile import jit
from funcsci.random import Key

Map: TypeAlias = Callable[[Tensor], Tensor]
"""Takes states, and returns the states one step later, of the same shape."""
SETTLING = 0.1
"""The part of the steps that are taken before the first that counts, unless it is said."""
BLOCKS = 10
"""Into how many parts of its length a single trajectory is cut, to see how much they differ."""


class LyapunovExponent(NamedTuple):
    """The largest Lyapunov exponent along some trajectories.

    Attributes:
        members: the exponent of each trajectory, per unit of time, of the batch's shape.
        rates: that of each step, `(steps, *batch)`; its running mean shows the convergence.
    """

    members: Tensor
    rates: Tensor

    @property
    def value(self) -> float:
        """The mean over the trajectories."""
        return float(self.members.mean())

    @property
    def error(self) -> float:
        """The standard error of the mean, from the trajectories, or from ten parts of a single one.

        It is too small where the trajectories or the parts depend on each other.
        """
        parts = self.members.reshape(-1)
        if len(parts) == 1:
            parts = torch.stack([part.mean() for part in self.rates.reshape(-1).chunk(BLOCKS)])
        return float(parts.std() / math.sqrt(len(parts))) if len(parts) > 1 else math.nan

    def __repr__(self) -> str:
        """The exponent in one line."""
        steps, count = len(self.rates), self.members.numel()
        return f"LyapunovExponent({self.value:.4f} ± {self.error:.4f}; {count} x {steps} steps)"


def largest_lyapunov_exponent(
    step: Map,
    state: Float[Tensor, "*state"],
    *,
    dt: float = 1.0,
    steps: int,
    settle: int | None = None,
    state_dims: int = 1,
    key: Key | None = None,
    backend: str | None = None,
    progress_bar: bool = True,
) -> LyapunovExponent:
    r"""The mean rate at which a small difference of two states grows under a map.

    $\lambda = \frac{1}{n \, dt} \sum_{i=1}^{n} \log |J(x_{i-1}) v_{i-1}|$, $x_i = f(x_{i-1})$, $v_i = J
    v_{i-1} / |J v_{i-1}|$: the derivative $J$ of the map is applied to a difference, and never
    formed.

    Args:
        step: $f$, a pure function of states of any leading batch shape, each mapped by itself: a solver's
            step, a model, or a model's window that is shifted by its new state.
        state: $x$ at the beginning, `(*batch, ...)`; a state on the attractor, or take more steps to settle.
        dt: the time of a step; 1 gives the exponent per step.
        steps: $n$, how many are counted.
        settle: how many are taken before, in which the difference turns to the direction that
            grows fastest. None: a tenth of `steps`.
        state_dims: how many of the last dimensions make one state: 1 for `(*batch, features)`, 2 for windows
            `(*batch, time, features)`.
        key: decides the first difference; None: `random.key(0)`.
        backend: of the compiled step, as for `compile.jit`.
        progress_bar: whether to show one.

    Returns:
        The exponent of each member of the batch. It is minus infinity for a map that forgets its state, and
        no number where a trajectory leaves the numbers. A time-continuous system never lies below zero,
        unless it comes to rest.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range, `state` has fewer dimensions than a state, or the map
            changes the shape.

    Example:
        The logistic map doubles small differences, on average:

        >>> start = torch.linspace(0.1, 0.4, 100, dtype=torch.float64)[:, None]
        >>> found = largest_lyapunov_exponent(lambda x: 4 * x * (1 - x), start, steps=500)
        >>> abs(found.value - math.log(2)) < 0.005
        True

    Source: Benettin et al. (1980), doi:10.1007/BF02128236, section 3.
    """
    checks.integer(least=1, steps=steps, state_dims=state_dims)
    checks.positive(dt=dt)
    settle = math.ceil(SETTLING * steps) if settle is None else settle
    checks.integer(least=0, settle=settle)
    _check_state(state, state_dims)
    dims = tuple(range(-state_dims, 0))

    def unit(difference: Tensor) -> tuple[Tensor, Tensor]:
        """The difference scaled to length 1, and its length, `(*batch, 1, ...)`."""
        size = torch.linalg.vector_norm(difference, dim=dims, keepdim=True)
        return difference / torch.where(size == 0, 1.0, size), size

    def grow(state: Tensor, difference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the state and of the unit difference, with the logarithm of the latter's growth."""
        after, grown = _pushed(step, state, difference)
        turned, size = unit(grown)
        return after, turned, torch.log(size).squeeze(dims)

    total = settle + steps
    program = jit(grow, backend=backend, steps=total)
    drawn = random.normal(random.key(0) if key is None else key, tuple(state.shape))
    state = state.contiguous()  # as every later one is, for one program
    difference, _ = unit(drawn.to(state))
    rates = []
    with progress.bar(total, "Lyapunov", shown=progress_bar) as bar:
        for number in range(total):
            state, difference, growth = program(state, difference)
            if number >= settle:
                rates.append(growth.to(torch.float64) / dt)
            bar.update()
    history = torch.stack(rates)
    return LyapunovExponent(history.mean(0), history)


def _check_state(state: Tensor, state_dims: int) -> None:
    if not isinstance(state, Tensor):
        raise TypeError(checks.message("be a tensor", "state", state, "Try torch.as_tensor(state)."))
    checks.floating(**{"state.dtype": state.dtype})
    if state.dim() < state_dims or not state.numel():
        raise ValueError(
            f"state must have at least {state_dims} dimensions of at least one number. "
            f"Got state of shape {tuple(state.shape)}. Try state[None], or fewer state_dims."
        )


def _pushed(step: Map, state: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
    """The next state, and the map's derivative along the difference.

    The product with the transposed derivative is linear, and its own transpose is the derivative again. A
    trace of it is that of forward mode, which torch 2.1 cannot trace through a product with a number.
    """
    back: Any = torch.func.vjp
    after, transposed = back(step, state)
    _check_map(state, after)
    _, derivative = back(lambda weights: transposed(weights)[0], torch.zeros_like(after))
    grown: Tensor = derivative(difference)[0]
    return after, grown


def _check_map(before: Tensor, after: Tensor) -> None:
    if after.shape != before.shape:
        raise ValueError(
            f"step must return states of the same shape, {tuple(before.shape)}. "
            f"Got states of shape {tuple(after.shape)}. Let it return the whole next state."
        )
