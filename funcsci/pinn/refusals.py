"""What Python and NumPy cannot do with a quantity of an equation, and what to write instead.

An equation is called once for all points, so its fields and coordinates stand for a number at each of them.
What needs one number, as `if`, `float` or NumPy, is refused with the words of torch that do the same.
"""

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import torch

from funcsci import checks

OTHER_NAMES = {
    "interp": "pinn.interpolate",
    "select": "torch.where",
    "piecewise": "torch.where",
    "cbrt": "torch.pow",
    "amax": "torch.maximum",
    "amin": "torch.minimum",
    "concatenate": "torch.stack",
    "array": "torch.stack",
}
"""What does the work of a function of NumPy, where torch has another name for it."""


ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
}
"""The operators of Python that NumPy's numbers call by these names."""


UNNAMED = "(...)"
"""What an expression is called in messages."""


class Refused(Exception):
    """An error in the library's own words, about what a user's function does."""


class NeedsNumbers(Refused, TypeError):
    """Something took a quantity for one number."""


class NoSuchName(Refused, AttributeError):
    """A derivative by a name that no coordinate has."""


class NoSuchDerivative(Refused, ValueError):
    """A derivative of an order, or by a coordinate, that there is not."""


class Refusing:
    """A base whose objects refuse, with a remedy, what needs one number."""

    _label: str

    def _needs_numbers(self, must: str, remedy: str) -> NoReturn:
        name = "An expression" if self._label == UNNAMED else self._label
        raise NeedsNumbers(f"{name} stands for a number at every point: {must}. {remedy}")

    def __bool__(self) -> bool:
        self._needs_numbers(
            "it is neither true nor false, as if, and, or, max and min need",
            "Use torch.where(x > 0.5, a, b) for if, torch.maximum and torch.minimum for max and min.",
        )

    def _no_float(self) -> NoReturn:
        self._needs_numbers(
            "it cannot be made into one, as float, int and the functions of math need",
            "Use torch's functions, torch.sin for math.sin, and torch.stack for torch.tensor.",
        )

    def __float__(self) -> float:
        self._no_float()

    def __int__(self) -> int:
        self._no_float()

    def __complex__(self) -> complex:
        self._no_float()

    def __round__(self, digits: int | None = None) -> NoReturn:
        self._needs_numbers("round needs one", "Use torch.round.")

    def __trunc__(self) -> NoReturn:
        self._needs_numbers("math.trunc needs one", "Use torch.trunc.")

    def __floor__(self) -> NoReturn:
        self._needs_numbers("math.floor needs one", "Use torch.floor.")

    def __ceil__(self) -> NoReturn:
        self._needs_numbers("math.ceil needs one", "Use torch.ceil.")

    def __index__(self) -> int:
        self._needs_numbers(
            "it is no integer, as an index and range need",
            "For a table use pinn.interpolate(places, values), with method='previous' to look values up.",
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._needs_numbers("it is no array of NumPy", "Use torch's functions, torch.sin for np.sin.")

    def __array_function__(self, function: Callable[..., Any], *args: Any) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """NumPy's arithmetic with one of its numbers is that of Python; its functions are refused."""
        act = ARITHMETIC.get(function.__name__)
        if act is None or method != "__call__" or kwargs or any(getattr(one, "ndim", 0) for one in inputs):
            self._refuse_numpy(function.__name__)
        return act(*(one if one is self or not hasattr(one, "item") else one.item() for one in inputs))

    def _refuse_numpy(self, name: str) -> NoReturn:
        same = f"torch.{name}" if hasattr(torch, name) else "torch's function"
        self._needs_numbers(
            f"NumPy's {name} does not take it", f"Use {OTHER_NAMES.get(name, same)} for np.{name}."
        )


def explained(error: Exception, expressed: Exception | None, what: str) -> Exception:
    """What to raise where a user's function failed.

    Args:
        error: what it raised when it was called with tensors.
        expressed: what it raised when it was called with quantities, which know what they were asked for.
        what: the function, for the message.

    Returns:
        The error in the library's own words, where what it did cannot be done at all points at once; else the
        error itself.
    """
    for one in (error, expressed):
        if isinstance(one, Refused):
            kind = next(kind for kind in (TypeError, ValueError, AttributeError) if isinstance(one, kind))
            return kind(f"In {what}: {one}")
    of = getattr(error, "obj", None)
    if isinstance(error, AttributeError) and isinstance(of, torch.Tensor) and expressed:
        return TypeError(
            f"In {what}: what is differentiated must be made by functions of torch that take fields and "
            f"coordinates. Got one that does not: {expressed} Write k(x).x for torch.func.grad(k)(x), or the "
            "derivative by hand."
        )
    if isinstance(error, RuntimeError | TypeError | IndexError) and any(sign in str(error) for sign in SIGNS):
        return TypeError(
            f"{what[0].upper()}{what[1:]} must be made of torch's functions, which take all points at once. "
            "Got one that needs a number: if, float, an index, or a function of NumPy or math. Use "
            "torch.where for if, torch.sin for np.sin and math.sin, and pinn.interpolate for a table."
        )
    return error


SIGNS = (
    "vmap", "data-dependent", "data pointer", "numpy()", ".item()", "_local_scalar_dense", "functorch",
    "used as indices",
)  # fmt: skip
"""Words of the errors by which torch says that a tensor has no one number."""


def check_no_coordinate(name: str, value: Any, coordinates: tuple[str, ...], what: str) -> None:
    """An argument that has a value, and so is a constant, is not called as a coordinate is.

    Raises:
        ValueError: if it is.
    """
    if name in coordinates:
        must = f"be without a value in the {what}, since it is a coordinate and no constant"
        raise ValueError(checks.message(must, name, value, "Leave its value out, or call it otherwise."))
