"""First values of parameters: each function here returns an `Initializer`.

Shapes are torch's: the output size first, the input size second, then the sizes of a kernel.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from funcsci import checks, random
from funcsci.nn.model import placed
from funcsci.random import Key


@runtime_checkable
class Initializer(Protocol):
    """Draws a tensor of the given shape: `initializer(key, shape, *, dtype=None, device=None)`.

    `dtype=None` is torch's default dtype, `device=None` the key's device.
    """

    def __call__(
        self,
        key: Key,
        shape: Sequence[int],
        *,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> Tensor:
        """Draw a tensor of that shape."""
        ...


Draw: TypeAlias = Callable[[Key, tuple[int, ...], torch.dtype | None], Tensor]
# Of fan_in and fan_out, the spread of a distribution.
Spread: TypeAlias = Callable[[int, int], float]
# The standard deviation of a standard normal variable cut off at two deviations.
CUT_DEVIATION = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))
GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2),
    "selu": 3 / 4,
}


def check_initializers(**values: Initializer | None) -> None:
    """Each value is an initializer or None.

    Raises:
        TypeError: if one is not a function.
    """
    for name, value in values.items():
        if value is not None and not callable(value):
            raise TypeError(
                checks.message("be an initializer", name, value, f"Try {name}=nn.initializers.constant(0.1).")
            )


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """How many inputs each output has, and how many outputs each input reaches.

    `fan_in = shape[1] * k` and `fan_out = shape[0] * k`, with `k` the product of the other sizes.

    Args:
        shape: of a weight: `(out, in)`, or `(out, in, *kernel)` for a convolution.

    Returns:
        `(fan_in, fan_out)`.

    Raises:
        ValueError: if the shape has fewer than two dimensions, or a size below 1.

    Example:
        >>> fans((16, 3, 5, 5))
        (75, 400)
    """
    shape = tuple(shape)
    if len(shape) < 2:
        raise ValueError(checks.message("have at least two dimensions", "shape", shape, "Try shape=(3, 2)."))
    checks.widths(shape=shape)
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def gain(nonlinearity: str, a: float = 0.01) -> float:
    """The factor that keeps a signal's variance through a nonlinearity, as `torch.nn.init.calculate_gain`.

    Args:
        nonlinearity: one of `GAINS`.
        a: slope of `"leaky_relu"` at negative inputs; the default is torch's.

    Example:
        >>> round(gain("tanh"), 3)
        1.667
    """
    checks.one_of(GAINS, nonlinearity=nonlinearity)
    checks.finite(a=a)
    return GAINS[nonlinearity] / (math.sqrt(1 + a**2) if nonlinearity == "leaky_relu" else 1.0)


def constant(value: float) -> Initializer:
    """Every entry equals `value`.

    Example:
        >>> from funcsci import random
        >>> constant(2.5)(random.key(0), (2,))
        tensor([2.5000, 2.5000])
    """
    checks.finite(value=value)
    return _initializer(
        lambda key, shape, dtype: torch.full(shape, float(value), dtype=dtype, device=key.device)
    )


def zeros() -> Initializer:
    """Every entry is 0."""
    return constant(0.0)


def ones() -> Initializer:
    """Every entry is 1."""
    return constant(1.0)


def uniform(low: float = 0.0, high: float = 1.0) -> Initializer:
    """Uniform in `[low, high)`; rounding may reach `high`, as in `random.uniform`.

    Raises:
        ValueError: if `low` is not below `high`.
    """
    checks.interval(**{"(low, high)": (low, high)})
    return _initializer(
        lambda key, shape, dtype: random.uniform(key, shape, dtype=dtype, minval=low, maxval=high)
    )


def normal(std: float = 1.0) -> Initializer:
    """Normal with mean 0 and the given standard deviation."""
    checks.positive(std=std)
    return _initializer(lambda key, shape, dtype: std * random.normal(key, shape, dtype=dtype))


def truncated_normal(std: float = 1.0, lower: float = -2.0, upper: float = 2.0) -> Initializer:
    """`std` times a standard normal variable cut off to `[lower, upper]`.

    Args:
        std: the standard deviation before the cut.
        lower: the lower end, in units of `std`.
        upper: the upper end, in units of `std`.

    Example:
        >>> from funcsci import random
        >>> weight = truncated_normal(0.1)(random.key(0), (1000,))
        >>> bool(weight.abs().max() <= 0.2)
        True

    Differs from: `torch.nn.init.trunc_normal_`, whose ends are not in units of `std`. As JAX.
    """
    checks.positive(std=std)
    checks.interval(**{"(lower, upper)": (lower, upper)})
    return _initializer(
        lambda key, shape, dtype: std * random.truncated_normal(key, lower, upper, shape, dtype=dtype)
    )


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform in ±`gain * sqrt(6 / (fan_in + fan_out))`.

    Source: Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural
    networks, eq. 16.

    Example:
        >>> from funcsci import random
        >>> weight = xavier_uniform()(random.key(0), (20, 10))
        >>> bool(weight.abs().max() <= (6 / 30) ** 0.5)
        True
    """
    checks.positive(gain=gain)
    return _uniform_of_fans(lambda fan_in, fan_out: gain * math.sqrt(6 / (fan_in + fan_out)))


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Normal with standard deviation `gain * sqrt(2 / (fan_in + fan_out))`.

    Source: Glorot and Bengio (2010), eq. 12.
    """
    checks.positive(gain=gain)
    return _normal_of_fans(lambda fan_in, fan_out: gain * math.sqrt(2 / (fan_in + fan_out)))


def kaiming_uniform(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """Uniform in ±`gain(nonlinearity, a) * sqrt(3 / fan)`.

    Args:
        a: slope of a leaky relu at negative inputs.
        mode: `"fan_in"` keeps the variance of the values, `"fan_out"` that of the gradients.
        nonlinearity: the activation that follows, one of `GAINS`.

    Raises:
        ValueError: if `mode` or `nonlinearity` is unknown.

    Source: He et al. (2015), arXiv:1502.01852, eq. 10.
    """
    spread = _kaiming(a, mode, nonlinearity)
    return _uniform_of_fans(lambda fan_in, fan_out: math.sqrt(3) * spread(fan_in, fan_out))


def kaiming_normal(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """Normal with standard deviation `gain(nonlinearity, a) / sqrt(fan)`; see `kaiming_uniform`.

    Source: He et al. (2015), arXiv:1502.01852, eq. 10.
    """
    return _normal_of_fans(_kaiming(a, mode, nonlinearity))


def lecun_normal() -> Initializer:
    """Normal cut off at two deviations, with standard deviation `1 / sqrt(fan_in)` after the cut.

    Source: LeCun et al. (1998), Efficient BackProp, doi:10.1007/3-540-49430-8_2, eq. 16; the cut as JAX.
    """

    def draw(key: Key, shape: tuple[int, ...], dtype: torch.dtype | None) -> Tensor:
        std = 1 / math.sqrt(fans(shape)[0]) / CUT_DEVIATION
        return std * random.truncated_normal(key, -2.0, 2.0, shape, dtype=dtype)

    return _initializer(draw)


def fan_in_uniform(fan_in: int | None = None) -> Initializer:
    """Uniform in ±`1 / sqrt(fan_in)`: what `torch.nn.Linear` and the convolutions begin with.

    Args:
        fan_in: number of inputs of each output; None reads it from the shape. A bias, whose shape
            does not tell, is given that of its weight.

    Example:
        >>> from funcsci import random
        >>> bias = fan_in_uniform(fan_in=100)(random.key(0), (50,))
        >>> bool(bias.abs().max() <= 0.1)
        True
    """
    if fan_in is None:
        return _uniform_of_fans(lambda fan_in, fan_out: 1 / math.sqrt(fan_in))
    checks.integer(fan_in=fan_in, least=1)
    bound = 1 / math.sqrt(fan_in)
    return uniform(-bound, bound)


def orthogonal(gain: float = 1.0) -> Initializer:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer.

    `Q` of the QR factorization of a normal matrix, with the signs that make `R`'s diagonal positive, so
    that `Q` is uniform over such matrices. A convolution's weight is taken as the matrix `(out, in * k)`.

    Raises:
        ValueError: if the shape has fewer than two dimensions.

    Example:
        >>> import torch
        >>> from funcsci import random
        >>> weight = orthogonal()(random.key(0), (4, 3))
        >>> torch.allclose(weight.T @ weight, torch.eye(3), atol=1e-5)
        True

    Source: Saxe et al. (2013), arXiv:1312.6120; Mezzadri (2006), arXiv:math-ph/0609050, for the signs.
    """
    checks.positive(gain=gain)

    def draw(key: Key, shape: tuple[int, ...], dtype: torch.dtype | None) -> Tensor:
        fans(shape)
        rows, columns = shape[0], math.prod(shape[1:])
        tall = random.normal(key, (max(rows, columns), min(rows, columns)), dtype=dtype)
        q, r = torch.linalg.qr(tall)
        signed: Tensor = q * torch.where(torch.diagonal(r) < 0, -1.0, 1.0).to(q.dtype)
        return gain * (signed if rows >= columns else signed.T).reshape(shape)

    return _initializer(draw)


def _initializer(draw: Draw) -> Initializer:
    """The initializer that moves the key to the device and draws there."""

    def initialize(
        key: Key,
        shape: Sequence[int],
        *,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> Tensor:
        return draw(placed(key, device), tuple(shape), dtype)

    return initialize


def _uniform_of_fans(bound: Spread) -> Initializer:
    def draw(key: Key, shape: tuple[int, ...], dtype: torch.dtype | None) -> Tensor:
        limit = bound(*fans(shape))
        return random.uniform(key, shape, dtype=dtype, minval=-limit, maxval=limit)

    return _initializer(draw)


def _normal_of_fans(std: Spread) -> Initializer:
    return _initializer(lambda key, shape, dtype: std(*fans(shape)) * random.normal(key, shape, dtype=dtype))


def _kaiming(a: float, mode: str, nonlinearity: str) -> Spread:
    checks.one_of(("fan_in", "fan_out"), mode=mode)
    factor = gain(nonlinearity, a)
    return lambda fan_in, fan_out: factor / math.sqrt(fan_in if mode == "fan_in" else fan_out)
