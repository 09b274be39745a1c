"""At kinks, ties, zeros and negative bases Taylor mode equals nested derivatives, as torch has them."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, vmap

from funcsci.autodiff import partials

ORDERS = (((),), ((0,),), ((0, 0),), ((0, 0, 0),), ((0, 0, 0, 0),))
OF_TWO = (
    *(((),), ((0,),), ((1,),), ((0, 0),), ((0, 1),), ((1, 1),), ((0, 0), (1, 1)), ((0,), (1,))),
    *(((0, 0, 1),), ((1, 1, 1),), ((0, 0, 0, 0),), ((0, 0, 1, 1),), ((0,) * 4, (1,) * 4)),
)


def fixed(x: Tensor, *numbers: float) -> Tensor:
    return torch.tensor(numbers if len(numbers) > 1 else numbers[0], dtype=x.dtype)


def three(x: Tensor) -> Tensor:
    return torch.stack([x[0], x[1], x[1] ** 2])


OF_ONE: dict[str, tuple[Callable[[Tensor], Tensor], Sequence[float]]] = {
    "relu": (lambda x: torch.relu(x) * x + torch.relu(x), [0.0]),
    "abs": (lambda x: torch.abs(x) * x + torch.abs(x), [0.0]),
    "leaky relu": (lambda x: F.leaky_relu(x, 0.1), [0.0]),
    "prelu": (lambda x: F.prelu(x[None], fixed(x, 0.25)[None])[0], [0.0, -1.0]),
    "prelu by its weight": (lambda x: F.prelu(fixed(x, -1.0, 0.0), x[None])[0], [0.0, -1.0]),
    "elu": (lambda x: F.elu(x, 1.3), [0.0, -800.0, 800.0]),
    "selu": (F.selu, [0.0]),
    "celu": (lambda x: F.celu(x, 0.5), [0.0]),
    "gelu": (F.gelu, [0.0, 40.0, -40.0]),
    "silu and mish": (lambda x: F.silu(x) + F.mish(x), [0.0, -40.0, 40.0]),
    "logsigmoid": (F.logsigmoid, [0.0, 800.0, -800.0]),
    "softplus": (F.softplus, [0.0, 20.0, 21.0, -800.0]),
    "softplus, sharper": (lambda x: F.softplus(x, 2.0, 2.0), [1.0, 1.1, 0.9]),
    "hardtanh": (F.hardtanh, [-1.0, 1.0, 0.0]),
    "relu6": (F.relu6, [0.0, 6.0]),
    "hardswish": (F.hardswish, [-3.0, 0.0, 3.0]),
    "softshrink": (F.softshrink, [0.5, -0.5, 0.0, 1.0]),
    "hardshrink": (F.hardshrink, [0.5, -0.5, 0.0, 1.0]),
    "threshold": (lambda x: F.threshold(x, 0.5, 20.0), [0.5, 0.75]),
    "softsign and tanhshrink": (lambda x: F.softsign(x) + F.tanhshrink(x), [0.0]),
    "steps": (lambda x: (torch.sign(x) + torch.floor(x) + torch.ceil(x) + torch.trunc(x)) * x, [0.0, 1.0]),
    "frac": (lambda x: torch.frac(x) * x, [1.0, -1.0, 0.0, 0.5]),
    "remainder": (lambda x: torch.remainder(x, 1.0) * x, [1.0, -1.0, 0.0, 0.5, -0.5]),
    "fmod": (lambda x: torch.fmod(x, 1.0) * x, [1.0, -1.0, 0.0, 0.5, -0.5]),
    "by a divisor": (lambda x: torch.fmod(fixed(x, 3.0), x) + torch.remainder(fixed(x, 3.0), x), [1.5, -0.7]),
    "clamp": (lambda x: x.clamp(-1.0, 1.0) * x, [-1.0, 1.0, 0.0, 2.0]),
    "clamp on a side": (lambda x: x.clamp(min=0.0) + x.clamp_max(0.0) * x, [0.0, 1.0]),
    "clamp to a point": (lambda x: x.clamp(1.0, 1.0) + x.clamp(2.0, 1.0), [1.0, 2.0]),
    "clamp by tensors": (lambda x: x.clamp(fixed(x, -1.0), fixed(x, 1.0)), [-1.0, 1.0]),
    "bounds that move": (lambda x: fixed(x, 1.0).clamp(x, x + 1), [-1.0, 0.0, 1.0, 2.0]),
    "maximum": (lambda x: torch.maximum(x, fixed(x, 0.0)), [0.0, 1.0]),
    "maximum of itself": (lambda x: torch.maximum(x, x * x) * x, [0.0, 1.0]),
    "maximum of the same": (lambda x: torch.maximum(x**2, x**2), [1.0]),
    "minimum": (lambda x: torch.minimum(x, x**3), [0.0, 1.0]),
    "fmax and fmin": (lambda x: torch.fmax(x, x * x) + torch.fmin(x, x**3), [0.0, 1.0, 2.0]),
    "beside no number": (lambda x: torch.fmax(x, fixed(x, math.nan)), [0.0, 1.0]),
    "no number": (lambda x: torch.maximum(x, fixed(x, math.nan)), [1.0]),
    "where": (lambda x: torch.where(x > 0, x, x * x), [0.0]),
    "nan_to_num": (lambda x: torch.nan_to_num(x) * 2, [0.0, math.inf, math.nan]),
    "copysign": (lambda x: torch.copysign(x, fixed(x, -1.0)), [1.0, -2.0]),
    "roots": (lambda x: torch.sqrt(x), [0.0, -1.0, 4.0]),
    "root of a square": (lambda x: torch.sqrt(x * x), [0.0, -1.0]),
    "reciprocals": (lambda x: torch.rsqrt(x) + torch.reciprocal(x), [0.0, 1.0]),
    "logarithms": (lambda x: torch.log(x) + torch.log2(x) + torch.log10(x), [0.0, 1.0]),
    "log1p": (torch.log1p, [-1.0, 0.0, -2.0]),
    "inverse sines": (lambda x: torch.asin(x) - torch.acos(x) / 2, [1.0, -1.0, 0.0, 2.0]),
    "atanh": (torch.atanh, [1.0, -1.0, 0.0]),
    "atan2": (lambda x: torch.atan2(x, x * x), [0.0, -1.0]),
    "atan2 on an axis": (lambda x: torch.atan2(x, fixed(x, 1.0)), [0.0, -1.0, 1.0]),
    "atan2 on the other": (lambda x: torch.atan2(fixed(x, 1.0), x), [0.0, -1.0, 1.0]),
    "hypot": (lambda x: torch.hypot(x, x * x), [0.0, -1.0]),
    "logaddexp": (lambda x: torch.logaddexp(x, x * x), [0.0, 1.0, -1.0]),
    "logaddexp2": (lambda x: torch.logaddexp2(x, x * x), [0.0, 1.0]),
    "logaddexp of nothing": (lambda x: torch.logaddexp(x, fixed(x, -math.inf)), [0.0]),
    "xlogy": (lambda x: torch.xlogy(x, x + 1) + torch.special.xlog1py(x, x), [0.0, 1.0]),
    "xlogy at zero": (lambda x: torch.xlogy(x, fixed(x, 0.0)), [0.0]),
    "xlogy of itself": (lambda x: torch.xlogy(x, x), [0.0, 1.0]),
    "entr": (torch.special.entr, [0.0, 1.0, 0.5]),
    "logit": (torch.logit, [0.5, 0.125]),
    "logit within bounds": (lambda x: torch.logit(x, 0.25), [0.25, 0.5, 0.125]),
    "gamma functions": (lambda x: torch.lgamma(x) + torch.digamma(x) + torch.polygamma(1, x), [1.0, 2.5]),
    "huber": (lambda x: F.huber_loss(x, fixed(x, 0.0)), [1.0, -1.0, 0.0, 0.5]),
    "smooth l1": (lambda x: F.smooth_l1_loss(x, fixed(x, 0.0), beta=0.5), [0.5, -0.5, 0.0, 0.25]),
    "mse and l1": (lambda x: F.mse_loss(x, fixed(x, 1.0)) + F.l1_loss(x, fixed(x, 0.0)), [0.0, 1.0]),
    "power of itself": (lambda x: (1 + x * x) ** x, [0.5, -0.5]),
    "number to a power": (lambda x: 2**x + 2.5**x + 1**x, [0.0, -1.0, 2.0]),
    "tensors to a power": (lambda x: (fixed(x, 2.0, 1.0) ** x).sum(), [0.0, -1.0, 2.0]),
    "negative numbers to a power": (lambda x: (-2.0) ** x + fixed(x, -1.0) ** x, [0.0, 1.0, 2.0, 0.5]),
}  # fmt: skip
EXPONENTS = [0, 1, 2, 3, 4, 5, -1, -2, 0.5, 1.5, 2.5, -0.5, 1.0, 2.0, 3.0, 4.0, -1.0, -2.0]
for _e in EXPONENTS:
    OF_ONE[f"x ** {_e!r}"] = (lambda x, e=_e: x**e, [0.0, -1.0, 2.0])
    OF_ONE[f"x ** tensor({_e!r})"] = (
        lambda x, e=_e: x ** torch.tensor(e).to(x.dtype if type(e) is float else torch.int64),
        [0.0, -1.0, 2.0],
    )
    OF_ONE[f"x ** tensor([{_e!r}])"] = (
        lambda x, e=_e: (x[None] ** torch.tensor([e, 5]).to(x.dtype)).sum(),
        [0.0, -1.0, 2.0],
    )
TWO: dict[str, tuple[Callable[[Tensor], Tensor], Sequence[Sequence[float]]]] = {
    "amax": (lambda x: torch.amax(torch.stack([x[0], x[1], x[0] * x[1]]), 0), [[1, 1], [0, 0], [2, 1]]),
    "amin": (lambda x: torch.amin(torch.stack([x[0], x[1], x[0] * x[1]])), [[1, 1], [0, 0], [2, 1]]),
    "max": (lambda x: torch.max(three(x)) + torch.min(three(x)) * x[0], [[1, 1], [0, 0], [2, 1]]),
    "max along": (lambda x: torch.max(three(x), 0).values + torch.min(three(x), 0)[0], [[1, 1], [0, 0]]),
    "max of rows": (
        lambda x: torch.outer(x, three(x)).max(1, keepdim=True)[0].sum() + torch.outer(x, x).amax(0).sum(),
        [[1, 1], [2, -1]],
    ),
    "aminmax": (lambda x: torch.stack(torch.aminmax(three(x), dim=0)).sum(), [[1, 1], [2, 1]]),
    "median": (lambda x: torch.median(three(x)) + torch.nanmedian(three(x)), [[1, 1], [2, 3]]),
    "median along": (lambda x: torch.median(three(x), 0).values, [[1, 1], [2, 3]]),
    "mode": (lambda x: torch.mode(three(x)).values, [[1, 1], [2, 3]]),
    "sort": (lambda x: (torch.sort(three(x)).values * fixed(x, 1, 2, 3)).sum(), [[1, 1], [2, 3]]),
    "argsort": (lambda x: (x * x)[torch.argsort(x)][0], [[1, 1], [3, 2]]),
    "topk": (lambda x: torch.topk(three(x), 2).values[1], [[1, 1], [2, 3]]),
    "kthvalue": (lambda x: torch.kthvalue(three(x), 2).values, [[1, 1], [2, 3]]),
    "cummax": (lambda x: torch.cummax(three(x), 0)[0].sum() * torch.cummin(x, 0)[0][1], [[1, 1], [2, 3]]),
    "maximum": (lambda x: torch.maximum(x[0], x[1]) * x[0], [[1, 1], [0, 0], [1, 2]]),
    "maximum of powers": (lambda x: torch.maximum(x[0] ** 2, x[1] ** 3) * x[0], [[1, 1], [0, 0]]),
    "kinks between": (lambda x: torch.relu(x[0] - x[1]) * x[0] + torch.abs(x[0] - x[1]) * x[1], [[1, 1]]),
    "where": (lambda x: torch.where(x[0] > x[1], x[0] ** 2, x[1] ** 2), [[1, 1]]),
    "norm": (lambda x: torch.linalg.vector_norm(x), [[0, 0], [1, 0], [3, 4]]),
    "matrix norm": (lambda x: torch.linalg.matrix_norm(torch.outer(x, x)), [[0, 0], [1, 2]]),
    "sum norm": (lambda x: torch.linalg.vector_norm(x, 1), [[0, 0], [1, 0], [-1, 2]]),
    "maximum norm": (lambda x: torch.linalg.vector_norm(x, math.inf), [[0, 0], [1, 1], [1, -1], [-1, 2]]),
    "minimum norm": (lambda x: torch.linalg.vector_norm(x, -math.inf), [[0, 0], [1, 1], [-1, 2]]),
    "third norm": (lambda x: torch.linalg.vector_norm(x, 3), [[0, 0], [1, 0], [-1, 2]]),
    "count": (lambda x: torch.linalg.vector_norm(x, 0) * x[0], [[0, 1]]),
    "half norm": (lambda x: torch.linalg.vector_norm(x, 0.5), [[1, 2]]),
    "prod": (lambda x: torch.prod(torch.stack([x[0], x[1], x[0] + 1])), [[0, 0], [0, 1], [1, 2]]),
    "cumprod": (lambda x: torch.cumprod(torch.cat([x, x[:1] + 1]), 0).sum(), [[0, 0], [0, 1], [1, 2]]),
    "variance": (lambda x: torch.var(x) + torch.stack(torch.var_mean(x)).sum(), [[1, 1], [1, 2]]),
    "deviation": (lambda x: torch.std(x) + torch.stack(torch.std_mean(x)).sum(), [[1, 1], [1, 2], [0, 0]]),
    "softmax": (lambda x: torch.softmax(x, 0)[0] + torch.logsumexp(x, 0), [[1, 1], [800, -800]]),
    "hypot": (lambda x: torch.hypot(x[0], x[1]), [[0, 0], [0, 1], [3, 4], [1e100, 1e100]]),
    "atan2": (lambda x: torch.atan2(x[0], x[1]), [[0, 0], [0, 1], [0, -1], [1, 1], [-1, 1], [1, 0]]),
    "logaddexp": (lambda x: torch.logaddexp(x[0], x[1]), [[0, 0], [1, 1], [1, 2]]),
    "power": (lambda x: x[0] ** x[1], [[2, 0.5], [2, 3]]),
    "roots of one": (lambda x: torch.sqrt(x[1]) + x[0] ** 2, [[1, 4]]),
    "nansum": (lambda x: torch.nansum(torch.log(x)), [[1, 2], [-1, 2]]),
}  # fmt: skip
BEYOND = {
    "gelu": 0.0,
    "nan_to_num": 0.0,
    **{f"x ** tensor({e!r})": 0.0 for e in (0, 1, 2, 1.0, 2.0)},
    **{f"x ** tensor([{e!r}])": 0.0 for e in (0, 1, 2, 1.0, 2.0)},
}
"""What is well defined where nested derivatives are no numbers, as third derivatives of squares are."""


def check(name: str, function: Callable[[Tensor], Tensor], x: Tensor, operators, tolerance: float) -> None:
    found = partials(function, operators)(x)
    wanted = partials(function, operators, derivatives="nested")(x)
    for operator, one, other in zip(operators, found, wanted, strict=True):
        if bool(other.isnan()) and name in BEYOND and not bool(one.isnan()):
            other = torch.full_like(other, BEYOND[name])
        where = f"{name} at {x.tolist()}, {operator}"
        torch.testing.assert_close(
            one, other, rtol=tolerance, atol=tolerance, equal_nan=True,
            msg=lambda text, where=where: f"{where}: {text}",
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", OF_ONE)
def test_of_one_coordinate(name: str, dtype: torch.dtype) -> None:
    function, places = OF_ONE[name]
    for place in places:
        x = torch.tensor([place], dtype=dtype)
        check(name, lambda x: function(x[0]), x, ORDERS, 1e-10 if dtype is torch.float64 else 2e-4)


@pytest.mark.parametrize("name", TWO)
def test_of_two_coordinates(name: str) -> None:
    function, places = TWO[name]
    for place in places:
        check(name, function, torch.tensor(place, dtype=torch.float64), OF_TWO, 1e-9)


@pytest.mark.parametrize(
    ("function", "x", "wanted"),
    [
        (lambda x: x[0] ** torch.tensor(2.0), [0.0], [0.0, 0.0, 2.0, 0.0, 0.0]),
        (lambda x: x[0] ** torch.tensor(1), [0.0], [0.0, 1.0, 0.0, 0.0, 0.0]),
        (lambda x: x[0] ** (2 + 0 * x[0]), [-1.0], [1.0, -2.0, 2.0, 0.0, 0.0]),
        (lambda x: x[0] ** (3 + 0 * x[0]), [0.0], [0.0, 0.0, 0.0, 6.0, 0.0]),
        (lambda x: torch.tensor(0.0) ** x[0], [1.5], [0.0] * 5),
        (lambda x: x[0] ** x[0], [1.0], [1.0, 1.0, 2.0, 3.0, 8.0]),
        (lambda x: torch.nn.functional.hardsigmoid(x[0]), [0.0], [0.5, 1 / 6, 0.0, 0.0, 0.0]),
        (lambda x: torch.where(x[0] > 0, torch.sqrt(x[0]), 0.0), [0.0], [0.0] * 5),
        (lambda x: torch.logaddexp(x[0], torch.tensor(-1600.0)), [0.0], [0.0, 1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_where_nested_derivatives_are_wrong_or_missing_the_true_ones_are_given(function, x, wanted) -> None:
    found = torch.stack(partials(function, ORDERS)(torch.tensor(x)))
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "function", [torch.sqrt, torch.log, lambda y: y**1.5, lambda y: y ** torch.tensor(0.5)]
)
def test_what_is_singular_in_one_coordinate_is_smooth_in_the_other(function) -> None:
    found = partials(lambda x: x[0] ** 2 + function(x[1]), (((0,),), ((0, 0),), ((0, 0, 0),)))
    torch.testing.assert_close(found(torch.tensor([3.0, 0.0])), (*map(torch.tensor, (6.0, 2.0, 0.0)),))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[0] ** torch.tensor([2.0, 3.0, 0.0]),
        lambda x: x[0] ** torch.tensor([[2], [3]]),
        lambda x: (1 + x**2) ** x[0],
        lambda x: (1 + x[0] ** 2) ** x,
        lambda x: torch.tensor([2.0, 3.0, 4.0]) ** x[0],
        lambda x: torch.maximum(x[0], x) * x[0] - torch.minimum(x, torch.zeros(3, 1)),
        lambda x: torch.fmax(x[0], x) + torch.fmin(x, x[:, None]),
        lambda x: torch.hypot(x[0], 1 + x) + torch.atan2(1 + x[:, None], x),
        lambda x: torch.xlogy(x[0], 3 + x) + torch.xlogy(x, 3 + x[0]),
        lambda x: torch.logaddexp(x[0], x) + torch.logaddexp2(x, x[:, None]),
        lambda x: torch.fmod(x[0], 0.3 + x**2) + torch.remainder(x, 0.3 + x[0] ** 2),
        lambda x: torch.copysign(x[0], x) + torch.copysign(x, torch.ones(2, 3)),
        lambda x: torch.where(x > 0, x[0], x**2) + x.clamp(x[0], torch.ones(2, 3)),
        lambda x: F.huber_loss(x, x[0] ** 2, reduction="none") + F.mse_loss(x, x**3, reduction="sum"),
        lambda x: F.prelu(torch.outer(x, x), x) * F.hardtanh(x),
        lambda x: torch.std(torch.outer(x, 1 + x), 1) + torch.linalg.vector_norm(torch.outer(x, x), dim=0),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_shapes_are_broadcast_as_by_nested_derivatives(function) -> None:
    x = torch.tensor([0.3, -0.6, 0.3])
    operators = (((),), ((0,),), ((0, 1),), ((0, 0), (1, 1), (2, 2)), ((0, 2, 2),))
    found = partials(function, operators)(x)
    wanted = partials(function, operators, derivatives="nested")(x)
    assert found[1].shape == found[0].shape == function(x).shape
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


RULES_WITH_PARAMETERS = {
    "maximum": lambda x, p: torch.maximum(p * x[0], x[1]),
    "power": lambda x, p: (p * x[0]) ** x[1] + (p * x[0]) ** torch.tensor([2.0, 3.0]),
    "extremes": lambda x, p: (p * x).amax() + (p * x).median() * x[0],
    "sort": lambda x, p: (p * x).sort().values,
    "norms": lambda x, p: torch.linalg.vector_norm(p * x) + torch.linalg.vector_norm(p * x, 3),
    "hypot": lambda x, p: torch.hypot(p * x[0], x[1]),
    "deviation": lambda x, p: torch.std(p * x),
    "logarithms": lambda x, p: torch.xlogy(x[0], p * x[1]) + torch.logaddexp(p * x[0], x[1]),
    "cumprod": lambda x, p: torch.cumprod(p * x, 0),
    "losses": lambda x, p: F.huber_loss(p * x, 0 * x) + F.smooth_l1_loss(p * x, x**2),
    "bounds": lambda x, p: torch.ones(()).clamp(x[0], p * x[1]) + F.hardswish(p * x[0]),
    "root": lambda x, p: p * torch.sqrt(x[0]) + x[1],
}


@pytest.mark.parametrize("name", RULES_WITH_PARAMETERS)
def test_derivatives_are_mapped_and_differentiated_by_parameters(name: str) -> None:
    points = torch.tensor([[0.3, 0.7], [1.2, 0.4], [0.5, 0.5], [2.0, 3.0]])
    operators = (((),), ((0,),), ((0, 1),), ((0, 0), (1, 1)))

    def loss(parameter: Tensor, mode: str) -> Tensor:
        derivatives = partials(RULES_WITH_PARAMETERS[name], operators, derivatives=mode)
        return sum(one.square().sum() for one in vmap(lambda x: derivatives(x, parameter))(points))

    value, slope = (function(torch.tensor(1.3), "taylor") for function in (loss, grad(loss)))
    torch.testing.assert_close(value, loss(torch.tensor(1.3), "nested"), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(slope, grad(loss)(torch.tensor(1.3), "nested"), rtol=1e-9, atol=1e-9)


def test_powers_of_entries_may_differ() -> None:
    def function(x: Tensor) -> Tensor:
        return x.repeat(3) ** torch.tensor([2.0, 3.0, 0.0])

    for place in (-1.0, 0.0, 2.0):
        value, slope, bend = partials(function, ORDERS[:3])(torch.tensor([place]))
        assert value.tolist() == [place**2, place**3, 1.0]
        assert slope.tolist() == [2 * place, 3 * place**2, 0.0] and bend.tolist() == [2.0, 6 * place, 0.0]
