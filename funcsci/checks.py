"""Checks of what a caller passes in: each says what must hold, what came, and what to do.

Every check takes its values as keyword arguments, so that the message can name the argument:
`checks.positive(width=0)` raises `width must be positive. Got width=0. ...`. A check returns
nothing; conversions belong to the caller.
"""

import difflib
import functools
import inspect
import math
import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def message(must: str, name: str, value: object, remedy: str) -> str:
    """The sentence every error of the library is built from: the law, the value, the remedy."""
    return f"{name} must {must}. Got {name}={value!r}. {remedy}"


def finite(**values: object) -> None:
    """Each value is a real number that is neither nan nor infinite.

    Raises:
        TypeError: if a value is not a real number.
        ValueError: if a value is nan or infinite, or an integer too large for a float.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(message("be a real number", name, value, f"Try {name}=1.0."))
        try:
            finite = math.isfinite(value)
        except OverflowError as error:  # its digits, thousands perhaps, would tell nothing
            raise ValueError(
                f"{name} must be finite as a float, at most 1.8e308 in size. "
                f"Got {name}=(a larger {type(value).__name__}). Try {name}=1.0."
            ) from error
        if not finite:
            raise ValueError(message("be finite", name, value, f"Try {name}=1.0."))


def positive(**values: object) -> None:
    """Each value is a finite real number above zero.

    Raises:
        TypeError: if a value is not a real number.
        ValueError: if a value is not finite or not positive.
    """
    finite(**values)
    for name, value in values.items():
        if value <= 0:  # type: ignore[operator]
            raise ValueError(message("be positive", name, value, f"Try {name}=1."))


def non_negative(**values: object) -> None:
    """Each value is a finite real number, zero or above.

    Raises:
        TypeError: if a value is not a real number.
        ValueError: if a value is not finite or is negative.
    """
    finite(**values)
    for name, value in values.items():
        if value < 0:  # type: ignore[operator]
            raise ValueError(message("not be negative", name, value, f"Try {name}={-value}."))  # type: ignore[operator]


def integer(*, least: int | None = None, **values: object) -> None:
    """Each value is an integer (a bool is not), and at least `least` where that is given.

    Raises:
        TypeError: if a value is not an integer.
        ValueError: if a value is below `least`.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(message("be an integer", name, value, f"Try {name}={least or 0}."))
        if least is not None and value < least:
            raise ValueError(message(f"be at least {least}", name, value, f"Try {name}={least}."))


def widths(**values: Iterable[object]) -> None:
    """Each value is a non-empty sequence of positive integers: the sizes of layers.

    Raises:
        TypeError: if a value is no sequence, or holds something other than integers.
        ValueError: if a sequence is empty or holds a size below 1.
    """
    for name, value in values.items():
        remedy = f"Try {name}=(32, 32)."
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TypeError(message("be a sequence of widths", name, value, remedy))
        if not value:
            raise ValueError(message("hold at least one width", name, value, remedy))
        for width in value:
            if isinstance(width, bool) or not isinstance(width, numbers.Integral):
                raise TypeError(message("hold integers", name, value, remedy))
            if width < 1:
                raise ValueError(message("hold positive widths", name, value, remedy))


def one_of(options: Iterable[str], **values: object) -> None:
    """Each value is one of the named options; an unknown one is answered with the nearest name.

    Raises:
        ValueError: if a value is not among the options.
    """
    known = list(options)
    for name, value in values.items():
        if value in known:
            continue
        nearest = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.5)
        remedy = f"Did you mean {nearest[0]!r}?" if nearest else f"Try {name}={known[0]!r}."
        raise ValueError(message(f"be one of {', '.join(map(repr, known))}", name, value, remedy))


def interval(**values: object) -> None:
    """Each value is a pair of finite numbers `(start, end)` with `start < end`.

    Raises:
        TypeError: if a value is not a pair of real numbers.
        ValueError: if an end is nan or infinite, or the interval is empty or reversed.
    """
    for name, value in values.items():
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
            raise TypeError(message("be a pair (start, end)", name, value, f"Try {name}=(0, 1)."))
        start, end = value
        finite(**{f"{name}[0]": start, f"{name}[1]": end})
        if start == end:
            raise ValueError(
                message("have a positive length", name, value, f"Try {name}=({start}, {start + 1}).")
            )
        if start > end:
            raise ValueError(message("run forward", name, value, f"Try {name}=({end}, {start})."))


def floating(**values: object) -> None:
    """Each value is torch.float32 or torch.float64, the types equations are solved in.

    Raises:
        TypeError: if a value is not a torch.dtype.
        ValueError: if it is an integer, half-precision or complex type.
    """
    for name, value in values.items():
        remedy = f"Try {name}=torch.float64."
        if not isinstance(value, torch.dtype):
            raise TypeError(message("be a torch.dtype", name, value, remedy))
        if value not in (torch.float32, torch.float64):
            raise ValueError(message("be torch.float32 or torch.float64", name, value, remedy))


def device(*, abstract: bool = False, **values: str | torch.device) -> None:
    """Each value names a device that exists on this computer.

    Args:
        abstract: whether torch's `"meta"` device is one too, which keeps shapes and no numbers.
        **values: the devices or their names.

    Raises:
        ValueError: if a name cannot be read as a device, or is `"meta"` and `abstract` is false.
        RuntimeError: if there is no such device here.
    """
    for name, value in values.items():
        try:
            wanted = torch.device(value)
        except (RuntimeError, TypeError) as error:
            raise ValueError(message("name a device", name, value, f"Try {name}='cpu'.")) from error
        if wanted.type == "meta" and not abstract:
            raise ValueError(message("be a device that holds numbers", name, value, f"Try {name}='cpu'."))
        try:
            torch.empty(0, device=wanted)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise RuntimeError(
                message("be a device that is present", name, value, f"Try {name}='cpu'.")
            ) from error


def writable(**values: str | Path) -> None:
    """Each value is a path whose folder exists and can be written to, and is not itself a folder.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if the path is a folder.
        PermissionError: if the file or the folder may not be written.
    """
    for name, value in values.items():
        path = Path(value)
        folder = path.parent
        if not folder.is_dir():
            raise FileNotFoundError(
                message(
                    "lie in a folder that exists", name, str(value), f"Make the folder {str(folder)!r} first."
                )
            )
        if path.is_dir():
            raise IsADirectoryError(
                message("be a file, not a folder", name, str(value), "Add a file name to it.")
            )
        target = path if path.exists() else folder
        if not os.access(target, os.W_OK):
            raise PermissionError(
                message("be a place you may write to", name, str(value), "Choose another folder.")
            )


def named_options(
    *options: Callable[..., Any],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator: an argument by a name that the function does not have is answered with the nearest one.

    Args:
        *options: the functions that take what the decorated one passes on as `**options`.

    Returns:
        The decorator; it leaves the signature as it is.

    Raises:
        TypeError: (when the decorated function is called) if there is no argument of a name.

    Example:
        >>> @named_options()
        ... def area(width, height=1.0):
        ...     return width * height
        >>> area(2.0, heigth=3.0)
        Traceback (most recent call last):
            ...
        TypeError: area has no argument heigth. Got heigth=3.0. Did you mean height?
    """

    def decorated(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        parameters = [*inspect.signature(function).parameters.values()]
        for one in options:  # what is not keyword-only is not an option
            passed = inspect.signature(one).parameters.values()
            parameters += [other for other in passed if other.kind is other.KEYWORD_ONLY]
        known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]

        @functools.wraps(function)
        def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            for name, value in kwargs.items():
                if name not in known:
                    near = difflib.get_close_matches(name, known, 1, 0.5)
                    remedy = f"Did you mean {near[0]}?" if near else f"Its arguments are {', '.join(known)}."
                    of = getattr(function, "__name__", "the function")
                    raise TypeError(f"{of} has no argument {name}. Got {name}={value!r}. {remedy}")
            return function(*args, **kwargs)

        return called

    return decorated
