"""Affine equations are told from others by their graph: kinks count wherever they are."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, jvp

from funcsci import pinn
from funcsci.pinn.affine import affine
from funcsci.pinn.domain import Domain
from funcsci.pinn.equations import Equations

SQUARE = Domain.of({"x": (0.0, 1.0), "t": (0.0, 2.0)})
A = torch.tensor([[0.0, 1.0], [-4.0, -0.5]], dtype=torch.float64)
WEIGHTS = torch.tensor([2.0, 3.0], dtype=torch.float64)
TABLE = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)


def looked_up(x: Tensor) -> Tensor:
    """A table that is interpolated."""
    place = (10 * x).floor().clamp(0, 9)
    left, right = TABLE[torch.stack([place, place + 1]).long()]
    return left + (right - left) * (10 * x - place)


AFFINE = {
    "heat": lambda u, x: u.t - u.xx + x * u - torch.sin(x),
    "system": lambda u, v, t: (u.t - v, v.t + torch.exp(-t) * u - 1),
    "stacked": lambda u, v: torch.stack([u.t - v.value, v.t + 4 * u.value]),
    "laplacian": lambda u: u.laplacian("x", "t") + 3 * u,
    "quotients": lambda u, x: u.t / 3 + u / (1 + x) - u.x / torch.tensor(7.0),
    "constants": lambda u: torch.tensor(3.0) * u.t - WEIGHTS[1] * u + math.pi,
    "nothing of it": lambda u: u.t + u * 0,
    "an exponent of nought": lambda u, eps=0.0: u.t + eps * (1 - u**2) * u.t + u,
    "first power": lambda u: u.t + u**1 + u.x**1.0 - u**0,
    "dot product": lambda u, v: (torch.dot(WEIGHTS, torch.stack([u.value, v.value])), u.t + v.t),
    "matrix": lambda u, v, t: tuple(torch.stack([u.t, v.t]) - A @ torch.stack([u.value, v.value]) * t),
    "state times matrix": lambda u, v: torch.stack([u.t, v.t]) - torch.stack([u.value, v.value]) @ A,
    "einsum": lambda u, v: torch.einsum("ij,j->i", A, torch.stack([u.value, v.value])) - u.t,
    "linear": lambda u, v: F.linear(torch.stack([u.t, v.value]), A, WEIGHTS),
    "choice by a coordinate": lambda u, x: u.t - torch.where(x > 0.5, u.value, 2 * u),
    "kinks of coordinates": lambda u, x: u.t + torch.abs(x - 0.5) * u - torch.relu(x - 0.3) + torch.floor(x),
    "table": lambda u, x: u.t - looked_up(x) * u.xx,
    "mask": lambda u, x: u.t - (x > 0.5) * u.xx - u.value.masked_fill(x > 0.3, 1.0),
    "conversion": lambda u: u.t.to(torch.float64) + u.value.double(),
    "sums": lambda u, v: (sum([u.t, v, u, 1.0]), torch.stack([u.value, v.value]).mean() + v.t),
    "cat and views": lambda u, v: torch.cat([u.t[None], v.value.reshape(1)]).flip(0).roll(1) * WEIGHTS,
    "vectors": lambda u, v, x: (
        torch.linalg.cross(torch.stack([u.value, v.value, x]), torch.tensor([1.0, 2, 3])).sum(), u.t + v.t
    ),
    "mixtures": lambda u, v, x: (torch.lerp(u.value, v.value, x), torch.addcmul(u.t, v.t, torch.exp(x))),
    "clones": lambda u: u.t.clone() + torch.ones_like(u.value) - torch.zeros_like(u.x) + u.xx.new_ones(()),
    "complex": lambda u, v: (
        (1j * torch.complex(u.t, v.t) - torch.complex(u.xx, v.xx)).real, u.t - (2j * u.value).imag
    ),
    "gradient of an energy": lambda u: u.tt + grad(lambda q: 2 * q**2 - q)(u.value),
    "coefficient by jvp": lambda u, x: u.xx + jvp(torch.sin, (x,), (torch.ones_like(x),))[1] * u,
    "noise in the coefficients": lambda u, x: u.t - u.xx * torch.tensor(np.array([1.0, 2.0]))[1] * x**3,
}  # fmt: skip
NONLINEAR = {
    "abs": lambda u: u.t + torch.abs(u),
    "relu": lambda u: u.t + torch.relu(u.value),
    "relu far away": lambda u: u.t + F.relu(u - 3.0),
    "abs far away": lambda u: u.t + abs(u - 1e6),
    "maximum": lambda u, v: (u.t + torch.maximum(u.value, v.value), v.t),
    "minimum with a number": lambda u: u.t + torch.minimum(u.value, torch.tensor(50.0)),
    "amax": lambda u, v: (torch.stack([u.value, v.value]).amax(), u.t + v.t),
    "sort": lambda u, v: torch.stack([u.t, v.value]).sort().values,
    "norm": lambda u, v: (u.t + torch.linalg.vector_norm(torch.stack([u.value, v.value])), v.t),
    "hypot": lambda u: u.t + torch.hypot(u.x, u.t),
    "choice by the field": lambda u: u.t + torch.where(u.value > 1e3, u.value, 2 * u),
    "hysteresis": lambda u: u.t + torch.where(u.x > 0, u.xx, 2 * u.xx),
    "clamp": lambda u: u.t + u.value.clamp(-1e8, 1e8),
    "clamp below": lambda u: u.t + u.value.clamp(min=-1e8),
    "leaky": lambda u: u.t + F.leaky_relu(u.value, 0.1),
    "kink in a part": lambda u, x: u.t + torch.where(x > 0.99, torch.abs(u.value), u.value),
    "kink at a time": lambda u, t: u.t + (t > 1.999) * torch.abs(u.value),
    "sign": lambda u: u.t + torch.sign(u.x),
    "saturation": lambda u: u.t + torch.tanh(u.value),
    "saturation far away": lambda u: u.t + torch.tanh(1e-9 * u),
    "step": lambda u: u.t + (u.value > 1e5).to(torch.float64),
    "rounded": lambda u: u.t + u.value.round() + torch.floor(u / 1e3),
    "integers": lambda u: u.t + u.value.to(torch.int64),
    "whole quotients": lambda u: u.t + torch.div(u.value, 3.0, rounding_mode="floor"),
    "remainder": lambda u: u.t + torch.remainder(u.value, 1e6),
    "held back": lambda u: u.t + u.value.detach(),
    "product": lambda u: u.t + u * u.x,
    "square": lambda u: u.xx + 1e-14 * u**2,
    "quotient": lambda u: u.t + 1 / (1 + u.x),
    "root": lambda u: u.t + torch.sqrt(u.x**2 + 1),
    "table by the field": lambda u: u.t + TABLE[(10 * u.value).long().clamp(0, 10)[None]][0],
    "bits": lambda u: u.t + u.value.view(torch.int64).view(torch.float64),
    "matrix of fields": lambda u, v: torch.stack([u.t, v.t]) - (A * u.value) @ torch.stack([u.t, v.t]),
    "dot of itself": lambda u, v: (torch.dot(s := torch.stack([u.value, v.value]), s) + u.t, v.t),
    "mixture by itself": lambda u, x: u.t + torch.lerp(u.value, x, u.x),
    "weighted choice": lambda u, x: torch.lerp(u.t, x, torch.relu(u.value)),
    "masked by itself": lambda u: u.t + u.value.masked_fill(u.value > 0, 0.0),
    "loop": lambda u: u.t + grad(torch.abs)(u.value),
    "median": lambda u, v: (torch.stack([u.value, v.value, u.t]).median(), v.t),
    "second of a system": lambda u, v: (u.t - v, v.t + torch.abs(u.value) * 1e-3),
}  # fmt: skip


@pytest.mark.parametrize("name", AFFINE)
def test_affine_equations_are_proved_to_be(name: str) -> None:
    assert affine(Equations.of(AFFINE[name], SQUARE))


@pytest.mark.parametrize("name", NONLINEAR)
def test_all_others_are_nonlinear(name: str) -> None:
    assert not affine(Equations.of(NONLINEAR[name], SQUARE))


@pytest.mark.parametrize(
    ("slopes", "wanted"),
    [
        (lambda t, y: A @ y, True),
        (lambda t, y: [y[1], -y[0] - 0.1 * y[1] + torch.cos(t)], True),
        (lambda t, y: torch.stack([(A * torch.exp(t))[0] @ y, y.sum()]), True),
        (lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], False),
        (lambda t, y: [y[1], -y[0] - torch.sign(y[1])], False),
    ],
)
def test_problems_in_scipys_form_are_told_too(slopes, wanted: bool) -> None:
    assert affine(pinn.ivp(slopes, (0.0, 1.0), [1.0, 0.0]).equations) is wanted


def test_what_cannot_be_traced_counts_as_nonlinear() -> None:
    def equation(u):
        return u.t + u * float(WEIGHTS.sum().sin())

    assert not affine(Equations.of(equation, Domain.of({"t": (0.0, 2.0)})))


LEAVES = ("u", "v", "x", "number")
UNARY = {
    "neg": torch.neg, "sin": torch.sin, "abs": torch.abs, "relu": torch.relu, "tanh": torch.tanh,
    "square": torch.square, "clone": torch.clone, "floor": torch.floor,
}  # fmt: skip
BINARY = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum,
    "over": lambda a, b: a / (1.5 + torch.cos(b)), "where": lambda a, b: torch.where(b > 0.5, a, -a),
    "stack": lambda a, b: torch.stack([a, b]).sum(), "dot": lambda a, b: torch.dot(a[None], b[None]),
}  # fmt: skip
EXPRESSIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.tuples(st.sampled_from(sorted(UNARY)), inner)
        | st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
    ),
    max_leaves=8,
)
FORMS = {"neg", "clone", "add", "sub", "mul", "over", "where", "stack", "dot"}


def evaluated(tree, leaves: dict[str, Tensor]) -> Tensor:
    if isinstance(tree, str):
        return leaves[tree]
    name, *inner = tree
    return (UNARY | BINARY)[name](*(evaluated(one, leaves) for one in inner))


def degree(tree) -> float:
    """By the rules of algebra alone: 0 for what is known, 1 for affine, infinite for what is not."""
    if isinstance(tree, str):
        return float(tree in ("u", "v"))
    name, *inner = tree
    degrees = [degree(one) for one in inner]
    if max(degrees) == 0:
        return 0.0
    if name not in FORMS or (name in ("over", "where") and degrees[1]):
        return math.inf
    total = sum(degrees) if name in ("mul", "dot") else max(degrees)
    return total if total <= 1 else math.inf


@settings(max_examples=25)
@given(EXPRESSIONS)
def test_expressions_are_affine_as_algebra_has_it(tree) -> None:
    def equation(u, v, x):
        number = torch.tensor(0.75, dtype=torch.float64)
        return evaluated(tree, {"u": u.value, "v": v.value, "x": x, "number": number}), u.t + v.t

    equations = Equations.of(equation, SQUARE)
    assert affine(equations) == (degree(tree) <= 1)
    if affine(equations):  # and it has no curvature between states of any size, as a probe can tell
        generator = torch.Generator().manual_seed(0)
        x = torch.tensor([0.3, 0.4])
        for size in (1e-6, 1.0, 1e3, 1e6):
            first, second = size * torch.randn(2, len(equations.requests), generator=generator)

            def at(state: Tensor) -> Tensor:
                return equations.residuals(dict(zip(equations.requests, state, strict=True)), x)

            ends = 0.5 * (at(first) + at(second))
            torch.testing.assert_close(at(0.5 * (first + second)), ends, rtol=1e-9, atol=1e-9 * size)
