"""The arithmetic of sliding windows: the sizes that convolutions leave, before any tensor exists."""

from collections.abc import Sequence
from typing import NamedTuple

from funcsci import checks

Size = int | Sequence[int]
"""One number for every spatial dimension, or one for each."""

PADDINGS = ("valid", "same")


class Window(NamedTuple):
    """A window that slides over a grid: what a convolution and a pooling have in common.

    Attributes:
        kernel_size: cells under the window, one number or one per dimension.
        stride: cells from one position to the next; of a transposed convolution, cells between inputs.
        padding: cells added at each side, or `"valid"` (none), or `"same"` (as many as keep the size).
        dilation: distance of neighbouring cells under the window.
        transposed: whether the window writes where a convolution would read.
        output_padding: cells that a transposed convolution adds at the end.
        ceil_mode: whether a pooling keeps a last window that is only in part on the grid.

    Example:
        >>> Window(3, padding="same")
        Window(kernel_size=3, stride=1, padding='same', dilation=1)
    """

    kernel_size: Size
    stride: Size = 1
    padding: Size | str = 0
    dilation: Size = 1
    transposed: bool = False
    output_padding: Size = 0
    ceil_mode: bool = False

    def __repr__(self) -> str:
        rare = ("transposed", "output_padding", "ceil_mode")
        shown = {name: value for name, value in self._asdict().items() if name not in rare or value}
        return f"Window({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class ReceptiveField(NamedTuple):
    """What one cell of the output sees of the input, along each dimension.

    Attributes:
        size: cells of the input that it depends on.
        stride: cells of the input between what two neighbours of the output see.
        start: the first cell that output 0 sees; negative where that is padding.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    start: tuple[int, ...]


def conv_output_size(size: Size, *windows: Window) -> tuple[int, ...]:
    r"""The size of a grid after one window or a whole stack of them.

    $n_\text{out} = \lfloor (n + 2p - d (k - 1) - 1) / s \rfloor + 1$, and for a transposed one
    $n_\text{out} = (n - 1) s - 2p + d (k - 1) + p_\text{out} + 1$.

    Args:
        size: cells of the grid along each spatial dimension; one number is a grid of one dimension.
        *windows: the layers in their order; without any, the size comes back.

    Returns:
        The cells of the output along each dimension.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is out of its range, a window has another number of dimensions, or one is
            larger than its padded input; the message names the window by its place.

    Example:
        The three convolutions and the pooling of a course's exercise, and the flattened size of 32 channels:

        >>> stack = [Window(5), Window(2, stride=2), Window(3, padding=1), Window(3, stride=2, padding=1)]
        >>> [conv_output_size((32, 32), *stack[: i + 1]) for i in range(4)]
        [(28, 28), (14, 14), (14, 14), (7, 7)]
        >>> 32 * 7 * 7
        1568

    Source: Dumoulin and Visin (2016), arXiv:1603.07285, relationships 6, 8 and 14.

    Differs from texts that round up: a window that does not fit is left out, so the quotient is rounded down.
    """
    given = (size,) if isinstance(size, int) else size
    checks.widths(size=given)
    sizes = tuple(given)
    for place, window in enumerate(windows):
        sizes = _after(sizes, window, f"windows[{place}]")
    return sizes


def receptive_field(*windows: Window, dims: int = 1) -> ReceptiveField:
    r"""What one cell at the end of a stack sees of the stack's input.

    $r \leftarrow r + d (k - 1) j,\quad a \leftarrow a - p\, j,\quad j \leftarrow j s$, from $r = j = 1, a =
    0$.

    Args:
        *windows: the layers in their order; none of them transposed.
        dims: spatial dimensions, where the windows give one number for all.

    Returns:
        Size, stride and start along each dimension.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a window is transposed, out of its range or of another number of dimensions.

    Example:
        Two 3-windows see as much as one 5-window:

        >>> receptive_field(Window(3, padding=1), Window(3, padding=1))
        ReceptiveField(size=(5,), stride=(1,), start=(-2,))

    Source: Araujo, Norris and Sim (2019), doi:10.23915/distill.00021, equations 2, 3 and 4.
    """
    checks.integer(least=1, dims=dims)
    given = [
        len(value)
        for window in windows
        for value in window[:4]
        if isinstance(value, Sequence) and not isinstance(value, str)
    ]
    dims = given[0] if given else dims
    size, stride, start = [1] * dims, [1] * dims, [0] * dims
    for place, window in enumerate(windows):
        name = f"windows[{place}]"
        if window.transposed:
            raise ValueError(
                f"{name} must not be transposed, whose cells see unlike parts of the input. "
                f"Got {window}. Leave it out."
            )
        kernel, steps, dilation, padding = _numbers(window, dims, name)
        for i in range(dims):
            size[i] += dilation[i] * (kernel[i] - 1) * stride[i]
            start[i] -= padding[i][0] * stride[i]
            stride[i] *= steps[i]
    return ReceptiveField(tuple(size), tuple(stride), tuple(start))


def per_dimension(dims: int, *, least: int, **values: object) -> list[tuple[int, ...]]:
    """Each value as one integer per dimension; one number stands for all.

    Raises:
        TypeError: if a value is neither an integer nor a sequence of them.
        ValueError: if it has another number of entries, or one of them is below `least`.
    """
    made = []
    for name, value in values.items():
        numbers = (value,) * dims if isinstance(value, int) else value
        if isinstance(numbers, str) or not isinstance(numbers, Sequence):
            remedy = f"Try {name}={max(least, 1)}."
            raise TypeError(checks.message("be an integer or one per dimension", name, value, remedy))
        if len(numbers) != dims:
            example = (max(least, 1),) * dims
            remedy = f"Try {name}={example}."
            raise ValueError(checks.message(f"have {dims} entries, one per dimension", name, value, remedy))
        checks.integer(
            least=least,
            **(
                {name: numbers[0]}
                if isinstance(value, int)
                else {f"{name}[{i}]": number for i, number in enumerate(numbers)}
            ),
        )
        made.append(tuple(numbers))
    return made


def pads(
    padding: Size | str, kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """The cells added before and after along each dimension.

    Raises:
        TypeError: if `padding` is neither a number, nor numbers, nor a name.
        ValueError: if the name is unknown, a number is negative, or `"same"` stands with a stride.
    """
    dims = len(kernel_size)
    if not isinstance(padding, str):
        (each,) = per_dimension(dims, least=0, padding=padding)
        return tuple((number, number) for number in each)
    checks.one_of(PADDINGS, padding=padding)
    if padding == "valid":
        return ((0, 0),) * dims
    if any(step != 1 for step in stride):
        raise ValueError(
            f"padding='same' must come with stride 1: a stride changes the size. Got stride={tuple(stride)}. "
            "Try padding=1."
        )
    spans = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
    return tuple((span // 2, span - span // 2) for span in spans)


def _numbers(
    window: Window, dims: int, name: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    try:
        kernel, stride, dilation = per_dimension(
            dims, least=1, kernel_size=window.kernel_size, stride=window.stride, dilation=window.dilation
        )
        return kernel, stride, dilation, pads(window.padding, kernel, stride, dilation)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _after(sizes: tuple[int, ...], window: Window, name: str) -> tuple[int, ...]:
    kernel, stride, dilation, padding = _numbers(window, len(sizes), name)
    (extra,) = per_dimension(len(sizes), least=0, output_padding=window.output_padding)
    left = tuple(
        (n - 1) * s - sum(p) + d * (k - 1) + more + 1
        if window.transposed
        else _positions(n, k, s, p, d, window.ceil_mode)
        for n, k, s, p, d, more in zip(sizes, kernel, stride, padding, dilation, extra, strict=True)
    )
    if min(left) < 1:
        raise ValueError(
            f"{name} must fit into its padded input. Got {window} on a grid of {sizes}, which leaves {left}. "
            "Make the kernel smaller, or pad more."
        )
    return left


def _positions(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, ceil: bool
) -> int:
    """How many places the window takes; rounded up, a last one must begin before the padding at the end."""
    room = size + sum(padding) - dilation * (kernel - 1) - 1
    count = -(-room // stride) + 1 if ceil else room // stride + 1
    return count - (ceil and (count - 1) * stride >= size + padding[0])
