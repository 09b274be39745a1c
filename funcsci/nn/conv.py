"""Convolutions: stencils whose weights are learned."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn import initializers
from funcsci.nn.initializers import Initializer, check_initializers
from funcsci.nn.model import Model, Params, placed
from funcsci.nn.windows import Size, Window, conv_output_size, pads, per_dimension
from funcsci.random import Key

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def conv1d(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    """A convolution over sequences: `conv2d` with one spatial dimension.

    It maps `x`, shape `(batch, in_channels, length)` or `(in_channels, length)`; `weight` has the shape
    `(out_channels, in_channels / groups, kernel_size)`. Arguments, errors and defaults are those of `conv2d`.

    Example:
        The second difference of a periodic field, by a stencil that is not learned:

        >>> import torch
        >>> from funcsci import nn
        >>> stencil = nn.conv1d(1, 1, 3, padding="same", padding_mode="circular", bias=False)
        >>> params = {"weight": torch.tensor([[[1.0, -2.0, 1.0]]])}
        >>> stencil.apply(params, torch.tensor([[0.0, 1.0, 4.0, 9.0]]))
        tensor([[ 10.,   2.,   2., -14.]])
    """
    return _convolution(
        1, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
        weight_init, bias_init,
    )  # fmt: skip


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    r"""A convolution over fields of two dimensions.

    $y_{o}(i) = b_o + \sum_c \sum_j w_{o c}(j)\, x_c(s i + d j - p)$, the stencil $w$ at every cell $i$, not
    mirrored.

    Args:
        in_channels: channels of `x`.
        out_channels: channels of `y`.
        kernel_size: cells of the stencil, one number or one per dimension.
        stride: $s$, cells from one position to the next.
        padding: $p$, cells added at each side; `"valid"` adds none, `"same"` keeps the size (with stride 1).
        dilation: $d$, distance of the stencil's cells.
        groups: the channels are split into so many groups that do not see each other.
        bias: whether to learn $b$.
        padding_mode: what the added cells hold: `"zeros"`; `"reflect"` mirrors at the last cell;
            `"replicate"` repeats it; `"circular"` continues with the other end, as a periodic field does.
        weight_init: draws $w$; None is uniform in ±1/sqrt(inputs of an output), as `torch.nn.Conv2d`.
        bias_init: draws $b$; None is the same interval.

    Returns:
        A model whose params are `weight`, shape `(out_channels, in_channels / groups, *kernel_size)`, and
        `bias`, shape `(out_channels,)`. It maps `x`, shape `(batch, in_channels, height, width)` or
        `(in_channels, height, width)`, to `out_channels` and `conv_output_size(size, Window(...))`.

    Raises:
        TypeError: if a size is not an integer, or an initializer is not a function.
        ValueError: if a number is out of its range, `groups` does not divide the channels, or a name is
            unknown; when applied, if `x` has other channels, or is too small for the stencil or for the
            padding's mode.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.conv2d(1, 16, 5)
        >>> params = model.init(random.key(0))
        >>> params["weight"].shape, model.apply(params, torch.zeros(8, 1, 32, 32)).shape
        (torch.Size([16, 1, 5, 5]), torch.Size([8, 16, 28, 28]))

    Differs from: `torch.nn.Conv2d` in the random numbers, not in their distribution.
    """
    return _convolution(
        2, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
        weight_init, bias_init,
    )  # fmt: skip


def conv3d(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    """A convolution over volumes: `conv2d` with three spatial dimensions.

    It maps `x`, shape `(batch, in_channels, depth, height, width)` or without the batch; `weight` has the
    shape `(out_channels, in_channels / groups, *kernel_size)`. Arguments, errors and defaults are those of
    `conv2d`.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.conv3d(1, 4, (1, 3, 3), padding="same")
        >>> model.apply(model.init(random.key(0)), torch.zeros(2, 1, 5, 8, 8)).shape
        torch.Size([2, 4, 5, 8, 8])
    """
    return _convolution(
        3, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
        weight_init, bias_init,
    )  # fmt: skip


def _convolution(
    dims: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
    bias: bool,
    padding_mode: str,
    weight_init: Initializer | None,
    bias_init: Initializer | None,
) -> Model:
    checks.integer(least=1, in_channels=in_channels, out_channels=out_channels)
    kernel, strides, dilations = per_dimension(
        dims, least=1, kernel_size=kernel_size, stride=stride, dilation=dilation
    )
    around = pads(padding, kernel, strides, dilations)
    checks.one_of(PADDING_MODES, padding_mode=padding_mode)
    check_groups(groups, in_channels, out_channels)
    shape = (out_channels, in_channels // groups, *kernel)
    init = initializing(shape, out_channels, bias, weight_init, bias_init)
    window = Window(kernel, strides, padding, dilations)
    convolve: Callable[..., Tensor] = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    # torch's own padding is the cheapest, but knows zeros alone, and as many at both ends.
    inside = padding_mode == "zeros" and all(before == after for before, after in around)
    added = [cells for pair in reversed(around) for cells in pair]
    filling = "constant" if padding_mode == "zeros" else padding_mode

    def apply(params: Params, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        check_channels(dims, in_channels, x)
        size = tuple(x.shape[-dims:])
        conv_output_size(size, window)
        if not inside and any(added):
            _check_mode(padding_mode, around, size)
            x = F.pad(x, added, mode=filling)
        own = tuple(before for before, _ in around) if inside else 0
        return convolve(x, params["weight"], params.get("bias"), strides, own, dilations, groups)

    return Model(init, apply)


def check_channels(dims: int, channels: int | None, x: Tensor) -> None:
    """`x` has the channels and `dims` spatial dimensions, with one batch dimension or none.

    Args:
        dims: spatial dimensions.
        channels: the number expected; None takes any.
        x: an input.

    Raises:
        TypeError: if `x` is not a tensor.
        ValueError: if it has another number of dimensions or of channels.
    """
    if not isinstance(x, Tensor):
        raise TypeError(checks.message("be a tensor", "x", x, "Try torch.as_tensor(x)."))
    axes = ", ".join(("depth", "height", "width")[-dims:])
    expected = "channels" if channels is None else str(channels)
    if x.dim() not in (dims + 1, dims + 2):
        raise ValueError(
            f"x must have the shape (batch, {expected}, {axes}) or ({expected}, {axes}). "
            f"Got x of shape {tuple(x.shape)}. Reshape it; one channel is a dimension too: x.unsqueeze(1)."
        )
    if channels is not None and x.shape[-dims - 1] != channels:
        raise ValueError(
            f"x must have {channels} channels in dimension {-dims - 1}. Got x of shape {tuple(x.shape)}, "
            f"with {x.shape[-dims - 1]}. Make the layer for {x.shape[-dims - 1]} channels, or pass others."
        )


def initializing(
    shape: tuple[int, ...],
    out_channels: int,
    bias: bool,
    weight_init: Initializer | None,
    bias_init: Initializer | None,
) -> Callable[..., Params]:
    """The `init` of a convolution whose weight has that shape."""
    check_initializers(weight_init=weight_init, bias_init=bias_init)
    draw_weight = weight_init or initializers.fan_in_uniform()
    draw_bias = bias_init or initializers.fan_in_uniform(fan_in=math.prod(shape[1:]))

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        # Split even without a bias, so that the weight does not depend on whether there is one.
        keys = random.split(placed(key, device))
        weight = draw_weight(keys[0], shape, dtype=dtype, device=device)
        if not bias:
            return {"weight": weight}
        return {"weight": weight, "bias": draw_bias(keys[1], (out_channels,), dtype=dtype, device=device)}

    return init


def check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    """The channels can be split into so many groups.

    Raises:
        TypeError: if `groups` is no integer.
        ValueError: if it is below 1, or does not divide both numbers of channels.
    """
    checks.integer(least=1, groups=groups)
    if in_channels % groups or out_channels % groups:
        remedy = f"Try groups={math.gcd(in_channels, out_channels)}."
        must = f"divide the channels, {in_channels} and {out_channels}"
        raise ValueError(checks.message(must, "groups", groups, remedy))


def _check_mode(mode: str, around: tuple[tuple[int, int], ...], size: tuple[int, ...]) -> None:
    """A mirror has one cell less to show than the grid, a period as many."""
    without = {"reflect": 1, "circular": 0}.get(mode)
    if without is None:
        return
    for pair, cells in zip(around, size, strict=True):
        if max(pair) > cells - without:
            raise ValueError(
                f"padding must add at most {cells - without} cells at a side where padding_mode={mode!r} "
                f"and the grid has {cells}. Got {max(pair)}. Pad less, or try padding_mode='replicate'."
            )
