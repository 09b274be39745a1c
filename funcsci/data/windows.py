"""Windows of a series: the samples of every model that looks back."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from funcsci import checks


def windows(
    series: Shaped[Tensor, "time *features"], length: int, *, stride: int = 1
) -> Shaped[Tensor, "samples length *features"]:
    """Overlapping pieces of a series, `w[n, t] = series[n stride + t]`, without a copy.

    Args:
        series: states at equal times, shape `(time, *features)`, of any dtype.
        length: how many times a window holds: those a model sees, and those it is to predict.
        stride: how many times later the next window begins.

    Returns:
        A view of shape `((time - length) // stride + 1, length, *features)`; where the stride does not reach
        the end, the last times are left out. The windows share the memory of the series.

    Raises:
        TypeError: if the series is not a tensor, or `length` or `stride` is no integer.
        ValueError: if the series has no time, a window is empty or longer than the series, or `stride` is not
            positive.

    Example:
        >>> w = windows(torch.arange(6), 4)
        >>> w
        tensor([[0, 1, 2, 3],
                [1, 2, 3, 4],
                [2, 3, 4, 5]])
        >>> x, y = w[:, :-1], w[:, -1]  # many to one: the next value from three
        >>> x, y = w[:, :-1], w[:, 1:]  # the next value at every time

    Differs from: `torch.Tensor.unfold`, which puts the window's times last, behind the features.
    """
    if not isinstance(series, Tensor):
        raise TypeError(
            f"series must be a tensor. Got a {type(series).__name__}. Try torch.as_tensor(series)."
        )
    checks.integer(least=1, length=length, stride=stride)
    if series.dim() == 0:
        remedy = "A series of one feature has the shape (time,) or (time, 1)."
        raise ValueError(checks.message("have the shape (time, *features)", "series.shape", (), remedy))
    if len(series) == 0:
        raise ValueError(
            f"series must hold at least one time. Got shape {tuple(series.shape)}. Pass a longer series."
        )
    if length > len(series):
        remedy = f"Try length={len(series)}, or pass a longer series."
        must = f"be at most the {len(series)} times of the series"
        raise ValueError(checks.message(must, "length", length, remedy))
    return torch.movedim(series.unfold(0, length, stride), -1, 1)
