"""Normalisation: activations are centred and scaled, by statistics of the batch or of the sample."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.nn.model import Model, Params, State, StatefulModel, placed
from funcsci.nn.windows import Size
from funcsci.random import Key


def batch_norm(
    num_features: int, *, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True
) -> StatefulModel:
    r"""Each channel centred and scaled by its statistics, with a learned scale and shift.

    $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$. In training $\mu$ and $\sigma^2$ are the
    mean and the variance of the batch (over samples and grid, divided by their number $n$), and the running
    ones move towards them, $m \leftarrow (1 - a) m + a \mu$ and $v \leftarrow (1 - a) v + a \sigma^2 n / (n
    - 1)$. In evaluation the running ones are used.

    Args:
        num_features: channels of `x`.
        eps: $\epsilon$, added to the variance.
        momentum: $a$; None averages all batches alike, $a = 1 / \text{batches}$.
        affine: whether to learn $\gamma$ and $\beta$.

    Returns:
        A stateful model. Its params are `weight` and `bias`, ones and zeros of shape `(num_features,)`; its
        state holds `running_mean`, `running_var` and the count `num_batches_tracked`, as the buffers of
        torch. It maps `x`, shape `(batch, num_features, *size)` with any number of spatial dimensions, none
        included, to the same shape.

    Raises:
        TypeError: if `num_features` is no integer.
        ValueError: if a number is out of its range; when applied, if `x` has other channels, or in training
            there is but one value in each channel.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.batch_norm(1)
        >>> params, state = model.init(random.key(0))
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> y, state = model.apply(params, state, x, train=True)
        >>> y.flatten().round(decimals=3), state["running_mean"], state["running_var"]
        (tensor([-1.,  1.]), tensor([0.2000]), tensor([1.1000]))

    Source: Ioffe and Szegedy (2015), arXiv:1502.03167, algorithm 1.

    Differs from: `torch.nn.BatchNorm2d`, which changes its statistics in place.
    """
    checks.integer(least=1, num_features=num_features)
    checks.positive(eps=eps)
    if momentum is not None:
        checks.non_negative(momentum=momentum)
        if momentum > 1:
            raise ValueError(checks.message("be at most 1", "momentum", momentum, "Try momentum=0.1."))

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> tuple[Params, State]:
        device = placed(key, device).device
        zeros = torch.zeros(num_features, dtype=dtype, device=device)
        ones = torch.ones(num_features, dtype=dtype, device=device)
        count = torch.zeros((), dtype=torch.int64, device=device)
        params = {"weight": ones, "bias": zeros} if affine else {}
        state = {"running_mean": zeros.clone(), "running_var": ones.clone(), "num_batches_tracked": count}
        return params, state

    def apply(
        params: Params,
        state: State,
        x: Float[Tensor, "batch channels *size"],
        *,
        train: bool,
        key: Key | None = None,
    ) -> tuple[Float[Tensor, "batch channels *size"], State]:
        _check_batch(num_features, x)
        weight, bias = params.get("weight"), params.get("bias")
        mean, var = state["running_mean"], state["running_var"]
        if not train:
            return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps), state
        count = x.numel() // num_features
        if count < 2:
            raise ValueError(
                "x must hold at least two values in each channel, for a variance. "
                f"Got x of shape {tuple(x.shape)}. Use a larger batch, or train=False."
            )
        batches = state["num_batches_tracked"] + 1
        share = 1 / batches.to(mean.dtype) if momentum is None else momentum
        # One pass over x gives the batch's statistics too.
        y, average, scale = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        variance = (scale**-2 - eps).clamp_min(0) * (count / (count - 1))
        moved = {
            "running_mean": mean + share * (average - mean),
            "running_var": var + share * (variance - var),
            "num_batches_tracked": batches,
        }
        return y, moved

    return StatefulModel(init, apply)


def layer_norm(
    normalized_shape: Size, *, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
) -> Model:
    r"""Each sample centred and scaled over its last dimensions.

    $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$.

    Args:
        normalized_shape: sizes of the last dimensions, over which $\mu$ and $\sigma^2$ are taken.
        eps: $\epsilon$, added to the variance.
        elementwise_affine: whether to learn $\gamma$ and $\beta$.
        bias: whether to learn $\beta$, where $\gamma$ is learned.

    Returns:
        A model whose params are `weight` and `bias`, ones and zeros of `normalized_shape`. It maps `x`, shape
        `(*batch, *normalized_shape)`, to the same shape.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a number is out of its range; when applied, if `x` has other last dimensions.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.layer_norm(2)
        >>> model.apply(model.init(random.key(0)), torch.tensor([[1.0, 3.0]])).round(decimals=3)
        tensor([[-1.,  1.]])

    Source: Ba, Kiros and Hinton (2016), arXiv:1607.06450, equation 4.
    """
    shape = _shape(normalized_shape)
    checks.positive(eps=eps)

    def apply(params: Params, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        _check_last(shape, x)
        return F.layer_norm(x, shape, params.get("weight"), params.get("bias"), eps)

    return Model(_ones_and_zeros(shape, elementwise_affine, bias), apply)


def rms_norm(normalized_shape: Size, *, eps: float | None = None, elementwise_affine: bool = True) -> Model:
    r"""Each sample scaled over its last dimensions, $y = \gamma\, x / \sqrt{\overline{x^2} + \epsilon}$.

    Args:
        normalized_shape: sizes of the last dimensions, over which the mean square is taken.
        eps: $\epsilon$, added to the mean square; None is the dtype's round-off.
        elementwise_affine: whether to learn $\gamma$.

    Returns:
        A model whose params are `weight`, ones of `normalized_shape`. It maps `x`, shape
        `(*batch, *normalized_shape)`, to the same shape.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a number is out of its range; when applied, if `x` has other last dimensions.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.rms_norm(2)
        >>> model.apply(model.init(random.key(0)), torch.tensor([[1.0, 7.0]])).round(decimals=3)
        tensor([[0.2000, 1.4000]])

    Source: Zhang and Sennrich (2019), arXiv:1910.07467, equation 4.
    """
    shape = _shape(normalized_shape)
    if eps is not None:
        checks.positive(eps=eps)

    def apply(params: Params, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        _check_last(shape, x)
        small = torch.finfo(x.dtype).eps if eps is None else eps
        axes = tuple(range(-len(shape), 0))
        y = x * torch.rsqrt((x * x).mean(axes, keepdim=True) + small)
        return y * params["weight"] if elementwise_affine else y

    return Model(_ones_and_zeros(shape, elementwise_affine, False), apply)


def group_norm(num_groups: int, num_channels: int, *, eps: float = 1e-5, affine: bool = True) -> Model:
    r"""Groups of a sample's channels centred and scaled.

    $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$.

    Args:
        num_groups: the channels are split into so many groups, each with its own $\mu$ and $\sigma^2$.
        num_channels: channels of `x`.
        eps: $\epsilon$, added to the variance.
        affine: whether to learn $\gamma$ and $\beta$, one number per channel.

    Returns:
        A model whose params are `weight` and `bias`, ones and zeros of shape `(num_channels,)`. It maps `x`,
        shape `(batch, num_channels, *size)`, to the same shape.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is out of its range, or the groups do not divide the channels; when applied,
            if `x` has other channels.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.group_norm(1, 2)
        >>> model.apply(model.init(random.key(0)), torch.tensor([[1.0, 3.0]])).round(decimals=3)
        tensor([[-1.,  1.]])

    Source: Wu and He (2018), arXiv:1803.08494, equations 1, 2 and 7.
    """
    checks.integer(least=1, num_groups=num_groups, num_channels=num_channels)
    checks.positive(eps=eps)
    if num_channels % num_groups:
        must = f"divide the {num_channels} channels"
        raise ValueError(checks.message(must, "num_groups", num_groups, "Try num_groups=1."))

    def apply(
        params: Params, x: Float[Tensor, "batch channels *size"]
    ) -> Float[Tensor, "batch channels *size"]:
        _check_batch(num_channels, x)
        return F.group_norm(x, num_groups, params.get("weight"), params.get("bias"), eps)

    return Model(_ones_and_zeros((num_channels,), affine, True), apply)


def _ones_and_zeros(shape: tuple[int, ...], weight: bool, bias: bool) -> Callable[..., Params]:
    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        device = placed(key, device).device
        made = {}
        if weight:
            made["weight"] = torch.ones(shape, dtype=dtype, device=device)
        if weight and bias:
            made["bias"] = torch.zeros(shape, dtype=dtype, device=device)
        return made

    return init


def _shape(normalized_shape: Size) -> tuple[int, ...]:
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
    checks.widths(normalized_shape=sizes)
    return tuple(sizes)


def _check_batch(channels: int, x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(checks.message("be a tensor", "x", x, "Try torch.as_tensor(x)."))
    if x.dim() < 2 or x.shape[1] != channels:
        raise ValueError(
            f"x must have the shape (batch, {channels}, ...), with {channels} channels. "
            f"Got x of shape {tuple(x.shape)}. Pass other channels, or x[None] where there is no batch."
        )


def _check_last(shape: tuple[int, ...], x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(checks.message("be a tensor", "x", x, "Try torch.as_tensor(x)."))
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"x must have the last dimensions {shape}. Got x of shape {tuple(x.shape)}. "
            "Pass other features, or make the layer for these."
        )
