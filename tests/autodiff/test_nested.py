"""Derivatives against closed forms, against torch's tape, and against themselves in a loop."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.func import vmap

from funcsci import autodiff
from funcsci.compile import jit

X = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)


def field(x: Tensor) -> Tensor:
    """sin(x0) x1^2 exp(x2), whose Laplacian is (2 - x1^2) sin(x0) exp(x2) + x1^2 sin(x0) exp(x2)."""
    return torch.sin(x[0]) * x[1] ** 2 * torch.exp(x[2])


def flow(x: Tensor) -> Tensor:
    return torch.stack([x[0] * x[1], x[1] ** 3, x[2] * x[0]])


def close(found: Any, wanted: Any, rtol: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.integers(0, 6), st.floats(-1, 1))
def test_derivatives_of_polynomials(coefficients: list[int], order: int, t: float) -> None:
    polynomial = np.polynomial.Polynomial(coefficients)
    wanted = polynomial.deriv(order)(t) if order < len(coefficients) else 0.0

    def function(t: Tensor) -> Tensor:
        return sum((c * t**k for k, c in enumerate(coefficients)), start=0 * t)

    found = autodiff.derivative(function, order)(torch.tensor(t))
    close(found, torch.tensor(float(wanted)), rtol=1e-9)


@pytest.mark.parametrize("order", range(5))
def test_derivatives_of_the_sine_turn_in_a_circle(order: int) -> None:
    t = torch.linspace(-2, 2, 7)
    close(vmap(autodiff.derivative(torch.sin, order))(t), torch.sin(t + order * torch.pi / 2))


def test_derivatives_nest_and_choose_their_argument() -> None:
    def function(a: Tensor, t: Tensor) -> Tensor:
        return torch.exp(a * t)

    a, t = torch.tensor(1.5), torch.tensor(0.2)
    close(autodiff.derivative(function, 3, argnum=1)(a, t), a**3 * torch.exp(a * t))
    twice = autodiff.derivative(autodiff.derivative(function, argnum=1), argnum=1)
    assert torch.equal(twice(a, t), autodiff.derivative(function, 2, argnum=1)(a, t))
    assert autodiff.derivative(function, 0) is function


@given(st.lists(st.integers(0, 2), max_size=3))
def test_partial_derivatives_commute_and_have_their_closed_form(coordinates: list[int]) -> None:
    counts = [coordinates.count(axis) for axis in range(3)]
    square = (X[1] ** 2, 2 * X[1], torch.tensor(2.0), torch.tensor(0.0))[counts[1]]
    wanted = torch.sin(X[0] + counts[0] * torch.pi / 2) * square * torch.exp(X[2])
    close(autodiff.partial(field, coordinates)(X), wanted)
    close(autodiff.partial(field, sorted(coordinates))(X), wanted)


def test_first_and_second_derivatives_equal_those_of_the_tape() -> None:
    close(autodiff.gradient(field)(X), torch.autograd.functional.jacobian(field, X))
    close(autodiff.hessian(field)(X), torch.autograd.functional.hessian(field, X))
    close(autodiff.jacobian(flow)(X), torch.autograd.functional.jacobian(flow, X))
    close(autodiff.laplacian(field)(X), torch.autograd.functional.hessian(field, X).trace())
    close(autodiff.divergence(flow)(X), torch.autograd.functional.jacobian(flow, X).trace())


def test_closed_forms_of_the_vector_operators() -> None:
    close(autodiff.laplacian(field)(X), 2 * torch.sin(X[0]) * torch.exp(X[2]))
    close(autodiff.divergence(flow)(X), X[1] + 3 * X[1] ** 2 + X[0])
    radius = torch.linalg.vector_norm(X)
    close(autodiff.laplacian(lambda x: 1 / torch.linalg.vector_norm(x))(X) * radius**3, torch.tensor(0.0))
    close(autodiff.divergence(autodiff.gradient(field))(X), autodiff.laplacian(field)(X))
    close(autodiff.hessian(field)(X), autodiff.hessian(field)(X).T)


def test_further_arguments_are_passed_on() -> None:
    def scaled(x: Tensor, a: Tensor) -> Tensor:
        return a * field(x)

    a = torch.tensor(3.0)
    for operator in (autodiff.gradient, autodiff.hessian, autodiff.laplacian):
        close(operator(scaled)(X, a), 3 * operator(field)(X))
    close(autodiff.partial(scaled, (0, 2))(X, a), 3 * autodiff.partial(field, (0, 2))(X))
    close(autodiff.divergence(lambda x, a: a * flow(x))(X, a), 3 * autodiff.divergence(flow)(X))


def loss(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    return (torch.tanh(params["w"] @ x + params["b"]) - y).square().sum()


PARAMS = {
    "w": torch.arange(6.0, dtype=torch.float64).reshape(2, 3) / 6,
    "b": torch.ones(2, dtype=torch.float64),
}


def test_value_and_gradient_in_the_order_of_jax() -> None:
    x, y = X, torch.zeros(2)
    value, gradient = autodiff.value_and_grad(loss)(PARAMS, x, y=y)
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in PARAMS.items()}
    loss(leaves, x, y).backward()
    close(value, loss(PARAMS, x, y))
    close(gradient, {name: leaf.grad for name, leaf in leaves.items()})

    def with_aux(params: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return loss(params, x, y), {"doubled": 2 * x}

    (again, aux), same = autodiff.value_and_grad(with_aux, has_aux=True)(PARAMS, x, y)
    close((again, aux["doubled"], same), (value, 2 * x, gradient))


def test_per_sample_gradients_are_those_of_a_loop() -> None:
    xs, ys = torch.linspace(-1, 1, 12).reshape(4, 3), torch.linspace(0, 1, 8).reshape(4, 2)
    found = autodiff.per_sample_gradient(loss)(PARAMS, xs, ys)
    looped = [autodiff.gradient(loss)(PARAMS, x, y) for x, y in zip(xs, ys, strict=True)]
    close(found, {name: torch.stack([g[name] for g in looped]) for name in PARAMS})


OPERATORS: dict[str, Callable[[Tensor], Any]] = {
    "partial": autodiff.partial(field, (0, 1)),
    "gradient": autodiff.gradient(field),
    "value_and_grad": autodiff.value_and_grad(field),
    "jacobian": autodiff.jacobian(flow),
    "hessian": autodiff.hessian(field),
    "divergence": autodiff.divergence(flow),
    "laplacian": autodiff.laplacian(field),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_batch_by_vmap_equals_a_loop_and_a_program_equals_both(name: str) -> None:
    operator, points = OPERATORS[name], torch.stack([X, 2 * X, -X])
    batched = vmap(operator)(points)
    looped = [operator(point) for point in points]
    for i, single in enumerate(looped):
        close(torch.utils._pytree.tree_map(lambda leaf, i=i: leaf[i], batched), single)
    jitted = jit(vmap(operator), backend="trace")
    close(jitted(points), batched)
    close(jitted(points + 1), vmap(operator)(points + 1))
    assert len(jitted.compilations) == 1


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_make_no_tensor_on_another_device_or_of_another_type(name: str) -> None:
    single, meta = OPERATORS[name](X.float()), OPERATORS[name](X.to("meta"))
    for leaf in torch.utils._pytree.tree_flatten(single)[0]:
        assert leaf.dtype == torch.float32
    for leaf in torch.utils._pytree.tree_flatten(meta)[0]:
        assert leaf.device.type == "meta"


@pytest.mark.parametrize("operator", [autodiff.laplacian, autodiff.divergence])
@pytest.mark.wrong_types
def test_an_operator_at_a_point_refuses_a_batch(operator: Callable[..., Any]) -> None:
    for wrong, shape in ((torch.ones(4, 3), r"\(4, 3\)"), (torch.tensor(1.0), r"\(\)")):
        with pytest.raises(
            ValueError, match=rf"acts at one point, .* Got x of shape {shape}\. Use torch\.func\.vmap"
        ):
            operator(field)(wrong)


@pytest.mark.wrong_types
def test_a_divergence_needs_as_many_components_as_coordinates() -> None:
    with pytest.raises(
        ValueError, match=r"Got x of shape \(3,\), f\(x\) of shape \(2,\)\. Return one component"
    ):
        autodiff.divergence(lambda x: x[:2])(X)


@pytest.mark.wrong_types
def test_orders_and_indices_are_checked() -> None:
    with pytest.raises(TypeError, match=r"order must be an integer\. Got order=1\.0\. Try order=0"):
        autodiff.derivative(torch.sin, 1.0)
    with pytest.raises(ValueError, match=r"order must be at least 0\. Got order=-1\."):
        autodiff.derivative(torch.sin, -1)
    with pytest.raises(ValueError, match=r"coordinates must be at least 0\. Got coordinates=-1\."):
        autodiff.partial(field, (0, -1))
    with pytest.raises(TypeError, match=r"coordinates must be an integer\. Got coordinates='x'"):
        autodiff.partial(field, ("x",))
