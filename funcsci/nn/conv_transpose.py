"""Transposed convolutions: from a coarse grid to a finer one."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.nn.conv import check_channels, check_groups, initializing
from funcsci.nn.initializers import Initializer
from funcsci.nn.model import Model, Params
from funcsci.nn.windows import Size, Window, conv_output_size, per_dimension


def conv_transpose1d(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    """The transpose of a convolution over sequences: `conv_transpose2d` with one spatial dimension.

    It maps `x`, shape `(batch, in_channels, length)` or `(in_channels, length)`; `weight` has the shape
    `(in_channels, out_channels / groups, kernel_size)`. Arguments, errors and defaults are those of
    `conv_transpose2d`.

    Example:
        >>> import torch
        >>> from funcsci import nn
        >>> spread = nn.conv_transpose1d(1, 1, 2, stride=2, bias=False)
        >>> spread.apply({"weight": torch.tensor([[[1.0, 0.5]]])}, torch.tensor([[2.0, 4.0]]))
        tensor([[2., 1., 4., 2.]])
    """
    return _transposed(
        1, in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
        weight_init, bias_init,
    )  # fmt: skip


def conv_transpose2d(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    r"""The transpose of a convolution over fields of two dimensions.

    $y_{o}(s i + d j - p) \mathrel{+}= w_{c o}(j)\, x_c(i)$: each input writes the stencil where the
    convolution with the same numbers would read, so a stride makes the grid finer. It is the adjoint, not
    the inverse.

    Args:
        in_channels: channels of `x`.
        out_channels: channels of `y`.
        kernel_size: cells of the stencil, one number or one per dimension.
        stride: $s$, cells of `y` from one input to the next.
        padding: $p$, cells that are left out at each side of `y`.
        output_padding: cells added at the end, less than stride or dilation: a convolution rounds its size
            down, and this says which of the sizes that it came from is meant.
        dilation: $d$, distance of the stencil's cells.
        groups: the channels are split into so many groups that do not see each other.
        bias: whether to learn a bias.
        weight_init: draws $w$; None is uniform in ±1/sqrt(out_channels / groups * cells), as
            `torch.nn.ConvTranspose2d`.
        bias_init: draws the bias; None is the same interval.

    Returns:
        A model whose params are `weight`, shape `(in_channels, out_channels / groups, *kernel_size)`, and
        `bias`, shape `(out_channels,)`. It maps `x`, shape `(batch, in_channels, height, width)` or
        `(in_channels, height, width)`, to `out_channels` and the size `(size - 1) s - 2p + d (k - 1) +
        output_padding + 1`.

    Raises:
        TypeError: if a size is not an integer, or an initializer is not a function.
        ValueError: if a number is out of its range, or `groups` does not divide the channels; when applied,
            if `x` has other channels, or nothing of `y` is left.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.conv_transpose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        >>> model.apply(model.init(random.key(0)), torch.zeros(8, 64, 7, 7)).shape
        torch.Size([8, 32, 14, 14])

    Source: Dumoulin and Visin (2016), arXiv:1603.07285, section 4.
    """
    return _transposed(
        2, in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
        weight_init, bias_init,
    )  # fmt: skip


def conv_transpose3d(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    """The transpose of a convolution over volumes: `conv_transpose2d` with three spatial dimensions.

    It maps `x`, shape `(batch, in_channels, depth, height, width)` or without the batch; `weight` has the
    shape `(in_channels, out_channels / groups, *kernel_size)`. Arguments, errors and defaults are those of
    `conv_transpose2d`.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.conv_transpose3d(4, 1, 2, stride=2)
        >>> model.apply(model.init(random.key(0)), torch.zeros(2, 4, 3, 4, 4)).shape
        torch.Size([2, 1, 6, 8, 8])
    """
    return _transposed(
        3, in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
        weight_init, bias_init,
    )  # fmt: skip


def _transposed(
    dims: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    stride: Size,
    padding: Size,
    output_padding: Size,
    dilation: Size,
    groups: int,
    bias: bool,
    weight_init: Initializer | None,
    bias_init: Initializer | None,
) -> Model:
    checks.integer(least=1, in_channels=in_channels, out_channels=out_channels)
    kernel, strides, dilations = per_dimension(
        dims, least=1, kernel_size=kernel_size, stride=stride, dilation=dilation
    )
    cut, extra = per_dimension(dims, least=0, padding=padding, output_padding=output_padding)
    check_groups(groups, in_channels, out_channels)
    for more, step, distance in zip(extra, strides, dilations, strict=True):
        if more >= max(step, distance):
            remedy = f"Try output_padding={max(step, distance) - 1}."
            must = "be less than the stride or the dilation"
            raise ValueError(checks.message(must, "output_padding", output_padding, remedy))
    shape = (in_channels, out_channels // groups, *kernel)
    init = initializing(shape, out_channels, bias, weight_init, bias_init)
    window = Window(kernel, strides, cut, dilations, transposed=True, output_padding=extra)
    functions = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
    spread: Callable[..., Tensor] = functions[dims - 1]

    def apply(params: Params, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        check_channels(dims, in_channels, x)
        conv_output_size(tuple(x.shape[-dims:]), window)
        return spread(x, params["weight"], params.get("bias"), strides, cut, extra, groups, dilations)

    return Model(init, apply)
