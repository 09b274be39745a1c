"""A series continued by a model, each state from those before it."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, progress
from funcsci.compile import choose, jit, repeat
from funcsci.compile.repeat import Step
from funcsci.models.causal_transformer import CausalTransformer
from funcsci.nn import KeyValues, Model, Params

After: TypeAlias = Callable[[], object]
"""Called after each state."""


def generate(
    model: Model | CausalTransformer,
    params: Params,
    seeds: Float[Tensor, "..."],
    n: int,
    *,
    backend: str | None = None,
    progress_bar: bool = True,
) -> Float[Tensor, "batch n features"]:
    r"""Continue a batch of series by feeding a model its own states, $x_{t+1} = f(x_t, x_{t-1}, \dots)$.

    One step is one program, compiled once. What the step works through depends on the model:

    - a `CausalTransformer` with a window of its own keeps keys and values of that window, which roll along:
      one state is worked through for each new one, for ever;
    - one without keeps them until its context is full. From there on the oldest state leaves the context,
      which changes everything that later ones had learned from it, so the context is worked through anew;
    - any other model is given as many states as there are in the seeds.

    Inside a transform the steps are inlined, so a loss of several generated states has a gradient.

    Args:
        model: gives the next state of every one, shape `(batch, time, features)`, or of the last alone, shape
            `(batch, features)`.
        params: of the model.
        seeds: where the series begin, shape `(batch, time, features)`. A transformer looks at the latest
            states that its context holds.
        n: how many states to add.
        backend: as in `jit`, which is told the number of steps.
        progress_bar: whether to show one.

    Returns:
        The new states. A series that has left all bounds goes on as inf or nan; nothing is raised.

    Raises:
        TypeError: if the model is of another kind, or `n` is no integer.
        ValueError: if `n` is not positive, or the seeds have another shape, no time, or other features than
            the model.

    Example:
        >>> import torch
        >>> from funcsci import models, random
        >>> model = models.causal_transformer(3, width=16, layers=1, context=20)
        >>> params = model.init(random.key(0))
        >>> models.generate(model, params, torch.zeros(2, 5, 3), 30, backend="trace").shape
        torch.Size([2, 30, 3])
    """
    checks.integer(least=1, n=n)
    _check(model, seeds)
    backend = choose(backend, steps=n)
    with progress.bar(n, "states", shown=progress_bar) as bar:
        if not isinstance(model, CausalTransformer):
            return _by_windows(model, params, seeds, n, backend, bar.update)
        known = seeds if model.context is None else seeds[:, -model.context :]
        space = n if model.context is None else min(n, 1 + model.context - known.shape[1])
        if known.shape[1] == model.context:
            return _by_windows(model, params, known, n, backend, bar.update)
        states = _by_memory(model, params, known, space, backend, bar.update)
        if space == n:
            return states
        full = torch.cat([known, states], 1)[:, 1:]
        return torch.cat([states, _by_windows(model, params, full, n - space, backend, bar.update)], 1)


def _by_memory(
    model: CausalTransformer, params: Params, seeds: Tensor, n: int, backend: str, after: After
) -> Tensor:
    """States from the latest one and from what is remembered of the others."""
    extend = _extend(model, backend)
    carry, first = extend((seeds.contiguous(), model.start(params, (len(seeds),))), params)
    after()
    _, states = repeat(extend, n - 1, carry, params, after=after)
    return torch.stack([first, *states], 1)


def _by_windows(
    model: Model | CausalTransformer, params: Params, window: Tensor, n: int, backend: str, after: After
) -> Tensor:
    """States from all of a window, which rolls on."""
    _, states = repeat(_look(model, backend), n, window.contiguous(), params, after=after)
    return torch.stack(states, 1)


@functools.lru_cache(maxsize=32)
def _extend(model: CausalTransformer, backend: str) -> Step:
    """One program for all calls with this model."""

    def extend(carry: tuple[Tensor, list[KeyValues]], params: Params) -> tuple[Any, Tensor]:
        after, past = model.extend(params, *carry)
        state = after[:, -1].contiguous()
        return (state.unsqueeze(1), past), state

    return jit(extend, backend=backend)


@functools.lru_cache(maxsize=32)
def _look(model: Model | CausalTransformer, backend: str) -> Step:
    """One program for all calls with this model."""

    def look(window: Tensor, params: Params) -> tuple[Tensor, Tensor]:
        if isinstance(model, CausalTransformer):
            state = model.next(params, window)
        else:
            after = model.apply(params, window)
            state = after if after.dim() == 2 else after[:, -1].contiguous()
        return torch.cat([window[:, 1:], state.unsqueeze(1)], 1), state

    return jit(look, backend=backend)


def _check(model: Any, seeds: Tensor) -> None:
    if not isinstance(model, (Model, CausalTransformer)):
        remedy = "Pass what models.causal_transformer or models.forecaster returns."
        raise TypeError(checks.message("be a Model or a CausalTransformer", "model", model, remedy))
    if seeds.dim() != 3 or 0 in seeds.shape:
        raise ValueError(
            f"seeds must have the shape (batch, time, features), none of them 0. "
            f"Got shape {tuple(seeds.shape)}. One series is a batch too: seeds[None]."
        )
