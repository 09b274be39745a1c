"""Trial functions: networks of one time made into candidates for the solution."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from funcsci import nn, random
from funcsci.nn import Model
from funcsci.pinn.problem import Oscillator
from funcsci.random import Key
from funcsci.tree import Params, Scalar

LAYER_SHARE = 0.25
"""The share of features, and of points, that look at the layer behind the start where there is one."""


def hard(problem: Oscillator, hidden: Sequence[int]) -> Model:
    r"""Built-in initial conditions, $u = u_0 + u_0' \tfrac{y}{k} + y^2 N(s)$ with $y = \tanh k\tau$.

    $y$ and $y^2$ vanish at the start with just the derivatives that leave $u_0$ and $u_0'$ in
    place, and stay bounded however long the time is. The network $N$ sees time scaled to
    $s \in [-1, 1]$, and its first layer is drawn to resolve the solution: see `features`.

    Args:
        problem: gives the conditions, the interval and the rate $k$.
        hidden: the network's hidden widths.

    Returns:
        A model of a scalar: `apply(params, t)` takes and returns shape ().
    """
    network = nn.mlp((1, *hidden, 1), activation=torch.tanh)
    start, rate = problem.t_span[0], problem.rate

    def apply(params: Params, t: Scalar) -> Scalar:
        y = torch.tanh(rate * (t - start))
        return problem.u0 + problem.du0 / rate * y + y**2 * network.apply(params, _scaled(problem, t))[0]

    return Model(_resolving(problem, network.init), apply)


def soft(problem: Oscillator, hidden: Sequence[int]) -> Model:
    r"""The network itself, $u = N(s)$: it learns the initial conditions as part of its loss.

    Args:
        problem: gives the interval.
        hidden: the network's hidden widths.

    Returns:
        A model of a scalar: `apply(params, t)` takes and returns shape ().
    """
    network = nn.mlp((1, *hidden, 1), activation=torch.tanh)

    def apply(params: Params, t: Scalar) -> Scalar:
        return network.apply(params, _scaled(problem, t))[0]

    return Model(network.init, apply)


TRIALS: dict[str, Callable[[Oscillator, Sequence[int]], Model]] = {"hard": hard, "soft": soft}
"""How the initial conditions are met, by name."""


def _scaled(problem: Oscillator, t: Scalar) -> Tensor:
    """Time on [-1, 1], as a network's input of shape (1,)."""
    return (2 * (t - problem.t_span[0]) / problem.duration - 1)[None]


def layer_share(problem: Oscillator) -> float:
    """The share of features and points that a solution with a fast transient needs behind its start."""
    return LAYER_SHARE if problem.decay * problem.duration > 10 else 0.0


def _resolving(problem: Oscillator, init: Callable[..., Params]) -> Callable[..., Params]:
    """The network's own `init`, with the first layer drawn by `features`."""

    def resolving_init(key: Key, **where: Any) -> Params:
        keys = random.split(key)
        first, *others = init(keys[0], **where)["layers"]
        slopes, centres = features(problem, keys[1], first["weight"].shape[0], first["weight"].dtype)
        slopes, centres = slopes.to(first["weight"].device), centres.to(first["weight"].device)
        return {"layers": [{"weight": slopes[:, None], "bias": -slopes * centres}, *others]}

    return resolving_init


def features(problem: Oscillator, key: Key, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    r"""Slopes and centres of random features $\tanh(w (s - c))$ that resolve the solution on $[-1, 1]$.

    Centres are uniform and slopes uniform up to width/8 in size: each feature then overlaps a
    dozen neighbours, whatever the width. Where the solution has a fast transient, a
    quarter of the features is graded toward the start: at distances between the transient's and
    the interval's length, log-uniform, with slopes to match.

    Args:
        problem: gives the interval and the fastest decay.
        key: the random key.
        width: the number of features.
        dtype: of the results.

    Returns:
        Slopes and centres, each of shape (width,).

    Source: Dong and Li (2021), arXiv:2012.02895, on the range of random coefficients.
    """
    keys = random.split(key, 5)
    graded = int(layer_share(problem) * width)
    slopes = random.uniform(keys[0], (width,), dtype=dtype, minval=-1.0, maxval=1.0)
    centres = random.uniform(keys[1], (width,), dtype=dtype, minval=-1.0, maxval=1.0)
    slopes = slopes * max(2.0, width / 8)
    if graded:
        reach = distances(problem, random.uniform(keys[2], (graded,), dtype=dtype))
        near = -1 + reach * random.uniform(keys[3], (graded,), dtype=dtype)
        steep = (1 + 4 * random.uniform(keys[4], (graded,), dtype=dtype)) / reach
        slopes = torch.cat([torch.sign(slopes[:graded]) * steep, slopes[graded:]])
        centres = torch.cat([near, centres[graded:]])
    return slopes, centres


def distances(problem: Oscillator, share: Tensor) -> Tensor:
    """Distances from the start on [-1, 1]: from 2 (share 0) down to half the transient's length (share 1)."""
    ratio = 2 * max(1.0, problem.decay * problem.duration)
    return 2 * ratio**-share
