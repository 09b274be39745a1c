"""What reshapes a grid without learning: pooling, flattening, upsampling, each a function of one tensor."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from funcsci import checks
from funcsci.nn.activations import Activation
from funcsci.nn.conv import check_channels
from funcsci.nn.windows import Size, Window, conv_output_size, per_dimension

MODES = ("nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact")
"""How `upsample` fills the finer grid; the words fit one, two, or three dimensions as in torch."""


def max_pool1d(
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Activation:
    """The largest value under a window that slides over sequences: `max_pool2d` with one dimension.

    Example:
        >>> import torch
        >>> max_pool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 5.0]]))
        tensor([[3., 5.]])
    """
    return _max_pool(1, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Activation:
    """The largest value under a window that slides over fields.

    Args:
        kernel_size: cells of the window, one number or one per dimension.
        stride: cells from one position to the next; None is the window's size.
        padding: cells added at each side, which no value is smaller than; at most half the window.
        dilation: distance of the window's cells.
        ceil_mode: whether to keep a last window that is only in part on the grid.

    Returns:
        A function from `x`, shape `(batch, channels, height, width)` or `(channels, height, width)`, to the
        same channels on the grid that `conv_output_size` tells.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is out of its range; when applied, if `x` has another number of dimensions,
            or is smaller than the window.

    Example:
        >>> import torch
        >>> max_pool2d(2)(torch.arange(16.0).reshape(1, 4, 4))
        tensor([[[ 5.,  7.],
                 [13., 15.]]])
    """
    return _max_pool(2, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Activation:
    """The largest value under a window that slides over volumes: `max_pool2d` with three dimensions.

    Example:
        >>> import torch
        >>> max_pool3d(2)(torch.arange(8.0).reshape(1, 2, 2, 2))
        tensor([[[[7.]]]])
    """
    return _max_pool(3, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    kernel_size: Size, *, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Activation:  # fmt: skip
    """The mean under a window that slides over sequences: `avg_pool2d` with one dimension.

    Example:
        >>> import torch
        >>> avg_pool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 5.0]]))
        tensor([[2.0000, 3.5000]])
    """
    return _avg_pool(1, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    kernel_size: Size, *, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Activation:  # fmt: skip
    """The mean under a window that slides over fields.

    Args:
        kernel_size: cells of the window, one number or one per dimension.
        stride: cells from one position to the next; None is the window's size.
        padding: zeros added at each side; at most half the window.
        ceil_mode: whether to keep a last window that is only in part on the grid.
        count_include_pad: whether the added zeros count in the mean.

    Returns:
        A function from `x`, shape `(batch, channels, height, width)` or `(channels, height, width)`, to the
        same channels on the grid that `conv_output_size` tells.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is out of its range; when applied, if `x` has another number of dimensions,
            or is smaller than the window.

    Example:
        >>> import torch
        >>> avg_pool2d(2)(torch.arange(16.0).reshape(1, 4, 4))
        tensor([[[ 2.5000,  4.5000],
                 [10.5000, 12.5000]]])
    """
    return _avg_pool(2, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool3d(
    kernel_size: Size, *, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Activation:  # fmt: skip
    """The mean under a window that slides over volumes: `avg_pool2d` with three dimensions.

    Example:
        >>> import torch
        >>> avg_pool3d(2)(torch.arange(8.0).reshape(1, 2, 2, 2))
        tensor([[[[3.5000]]]])
    """
    return _avg_pool(3, kernel_size, stride, padding, ceil_mode, count_include_pad)


def global_avg_pool(dims: int = 2) -> Activation:
    """Each channel's mean over the grid: `(batch, channels, *size)` becomes `(batch, channels)`.

    Args:
        dims: spatial dimensions, the last ones of `x`.

    Raises:
        TypeError: if `dims` is no integer.
        ValueError: if it is below 1; when applied, if `x` has no channels before them.

    Example:
        >>> import torch
        >>> global_avg_pool()(torch.arange(8.0).reshape(1, 2, 2, 2))
        tensor([[1.5000, 5.5000]])

    Differs from: `torch.nn.AdaptiveAvgPool2d(1)`, which keeps the grid's dimensions with size 1.
    """
    return _over_grid(dims, lambda x, axes: x.mean(axes))


def global_max_pool(dims: int = 2) -> Activation:
    """Each channel's largest value over the grid: `(batch, channels, *size)` becomes `(batch, channels)`.

    Args:
        dims: spatial dimensions, the last ones of `x`.

    Raises:
        TypeError: if `dims` is no integer.
        ValueError: if it is below 1; when applied, if `x` has no channels before them.

    Example:
        >>> import torch
        >>> global_max_pool()(torch.arange(8.0).reshape(1, 2, 2, 2))
        tensor([[3., 7.]])

    Differs from: `torch.nn.AdaptiveMaxPool2d(1)`, which keeps the grid's dimensions with size 1. Of equal
        values each has a part of the gradient here.
    """
    return _over_grid(dims, lambda x, axes: x.amax(axes))


def flatten(start_dim: int = 1, end_dim: int = -1) -> Activation:
    """Several dimensions as one; by default all but the first.

    Args:
        start_dim: the first of them.
        end_dim: the last of them.

    Example:
        >>> import torch
        >>> flatten()(torch.zeros(8, 128, 3, 3)).shape
        torch.Size([8, 1152])
    """
    checks.integer(start_dim=start_dim, end_dim=end_dim)
    return lambda x: x.flatten(start_dim, end_dim)


def upsample(
    *,
    size: Size | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Activation:
    """The values on a finer grid (or a coarser one), by interpolation.

    Args:
        size: cells of the new grid; or
        scale_factor: new cells for each old one, one number or one per dimension.
        mode: one of `MODES`; `"linear"` is for one dimension, `"bilinear"` and `"bicubic"` for two,
            `"trilinear"` for three.
        align_corners: whether the corners' centres stay where they are, for the linear and cubic modes.

    Returns:
        A function of `x`, shape `(batch, channels, *size)`.

    Raises:
        ValueError: if not just one of `size` and `scale_factor` is given, or the mode is unknown.

    Example:
        >>> import torch
        >>> upsample(scale_factor=2)(torch.tensor([[[1.0, 2.0]]]))
        tensor([[[1., 1., 2., 2.]]])
    """
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"Either size or scale_factor must be given. Got size={size!r}, scale_factor={scale_factor!r}. "
            "Try scale_factor=2."
        )
    checks.one_of(MODES, mode=mode)

    def apply(x: Tensor) -> Tensor:
        return F.interpolate(x, size, scale_factor, mode, align_corners)

    return apply


def _max_pool(
    dims: int, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool
) -> Activation:
    window = _window(dims, kernel_size, stride, padding, dilation, ceil_mode)
    pool: Callable[..., Tensor] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]

    def apply(x: Tensor) -> Tensor:
        _check_grid(dims, x, window)
        return pool(x, window.kernel_size, window.stride, window.padding, window.dilation, ceil_mode)

    return apply


def _avg_pool(
    dims: int, kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool, count_include_pad: bool
) -> Activation:
    window = _window(dims, kernel_size, stride, padding, 1, ceil_mode)
    pool: Callable[..., Tensor] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[dims - 1]

    def apply(x: Tensor) -> Tensor:
        _check_grid(dims, x, window)
        return pool(x, window.kernel_size, window.stride, window.padding, ceil_mode, count_include_pad)

    return apply


def _window(
    dims: int, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool
) -> Window:
    kernel, steps, distances = per_dimension(
        dims,
        least=1,
        kernel_size=kernel_size,
        stride=kernel_size if stride is None else stride,
        dilation=dilation,
    )
    (around,) = per_dimension(dims, least=0, padding=padding)
    for cells, width, distance in zip(around, kernel, distances, strict=True):
        reach = distance * (width - 1) + 1
        if 2 * cells > reach:
            remedy = f"Try padding={reach // 2}."
            must = f"be at most half of the window, which reaches over {reach} cells"
            raise ValueError(checks.message(must, "padding", padding, remedy))
    return Window(kernel, steps, around, distances, ceil_mode=ceil_mode)


def _check_grid(dims: int, x: Tensor, window: Window) -> None:
    check_channels(dims, None, x)
    conv_output_size(tuple(x.shape[-dims:]), window)


def _over_grid(dims: int, reduce: Callable[[Tensor, tuple[int, ...]], Tensor]) -> Activation:
    checks.integer(least=1, dims=dims)

    def apply(x: Tensor) -> Tensor:
        check_channels(dims, None, x)
        return reduce(x, tuple(range(-dims, 0)))

    return apply
