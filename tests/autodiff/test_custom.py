"""Functions with given derivatives: finite differences, every transform, networks, messages."""

import re

import pytest
import torch

from funcsci import nn, optim, random, train
from funcsci.autodiff import custom_function, x_sin_x
from funcsci.compile import jit

KEY = random.key(8)
X = random.normal(KEY, (6,), dtype=torch.float64)


def product_vjp(inputs, output, cotangent):
    x, y = inputs
    return cotangent * y.sin(), cotangent * x * y.cos()


def product_jvp(inputs, output, tangents):
    (x, y), (dx, dy) = inputs, tangents
    return dx * y.sin() + x * y.cos() * dy


PRODUCTS = {
    "vjp alone": custom_function(lambda x, y: x * y.sin(), product_vjp),
    "vjp and jvp": custom_function(lambda x, y: x * y.sin(), product_vjp, product_jvp),
}


def test_x_sin_x_passes_gradcheck_and_gradgradcheck():
    x = X.clone().requires_grad_()
    assert torch.autograd.gradcheck(x_sin_x, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(x_sin_x, x)


@pytest.mark.parametrize("name", PRODUCTS)
def test_two_inputs_pass_gradcheck_and_gradgradcheck(name):
    inputs = (X.clone().requires_grad_(), random.normal(random.key(9), (6,)).requires_grad_())
    assert torch.autograd.gradcheck(PRODUCTS[name], inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(PRODUCTS[name], inputs)


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_order_of_transforms_gives_the_plain_functions_numbers(name):
    f, y = PRODUCTS[name], random.normal(random.key(9), (6,))

    def plain(x, y):
        return x * y.sin()

    func = torch.func
    transforms = {
        "vmap": lambda f: func.vmap(f),
        "grad": lambda f: func.vmap(func.grad(f, argnums=(0, 1))),
        "grad of grad": lambda f: func.vmap(func.grad(func.grad(f, argnums=1), argnums=0)),
        "jacrev": lambda f: func.jacrev(f, argnums=1),
        "jacfwd": lambda f: func.jacfwd(f, argnums=1),
        "hessian": lambda f: func.vmap(func.hessian(f, argnums=1)),
        "jvp": lambda f: lambda x, y: func.jvp(f, (x, y), (y, x)),
        "jvp of grad": lambda f: lambda x, y: func.jvp(func.vmap(func.grad(f, 1)), (x, y), (y, x)),
        "grad of vmap": lambda f: func.grad(lambda x, y: func.vmap(f)(x, y).square().sum(), argnums=(0, 1)),
        "one tangent": lambda f: lambda x, y: func.jvp(lambda y: f(x, y), (y,), (x,)),
    }
    for label, transform in transforms.items():
        torch.testing.assert_close(
            transform(f)(X, y),
            transform(plain)(X, y),
            rtol=1e-13,
            atol=1e-13,
            msg=lambda m, at=label: f"{at}: {m}",
        )


def test_the_given_derivative_is_the_one_that_is_used():
    """A gradient that is cut at one, of a square, eager and in a program."""
    cut = custom_function(lambda x: x**2, lambda inputs, output, g: g * (2 * inputs[0]).clamp(-1, 1))
    x = torch.tensor([-3.0, 0.2, 3.0])
    expected = torch.tensor([-1.0, 0.4, 1.0])
    gradient = torch.func.vmap(torch.func.grad(cut))
    torch.testing.assert_close(gradient(x), expected)
    torch.testing.assert_close(jit(gradient, backend="trace")(x), expected)
    torch.testing.assert_close(torch.func.jvp(cut, (x,), (torch.ones(3),))[1], expected)


def test_an_input_may_have_no_derivative():
    scaled = custom_function(lambda x, c: c * x, lambda inputs, output, g: (g * inputs[1], None))
    assert torch.func.grad(scaled)(torch.tensor(2.0), torch.tensor(3.0)) == 3
    assert torch.func.grad(scaled, argnums=1)(torch.tensor(2.0), torch.tensor(3.0)) == 0


@pytest.mark.parametrize("backend", ["trace", pytest.param("compile", marks=pytest.mark.slow)])
def test_trains_a_network_as_the_plain_activation_does(backend):
    def losses(activation):
        model = nn.mlp((1, 16, 1), activation=activation)
        x = torch.linspace(-2, 2, 40)[:, None]
        loss = lambda params: nn.mse(model.apply(params, x), torch.sin(3 * x))  # noqa: E731
        return train.fit(
            loss, model.init(KEY), optim.adam(1e-2), steps=300, backend=backend, progress_bar=False
        ).loss

    given, plain = losses(x_sin_x), losses(lambda x: x * torch.sin(x))
    torch.testing.assert_close(given, plain, rtol=1e-9, atol=0)
    assert given[-1] < given[0] / 100


def bad(rule):
    return torch.func.grad(custom_function(lambda x: (x**2).sum(), rule))(X)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: custom_function(2, bad), TypeError, "forward must be a function. Got forward=2."),
        (lambda: custom_function(bad, None), TypeError, "vjp must be a function. Got vjp=None."),
        (lambda: custom_function(bad, bad, jvp=1), TypeError, "jvp must be a function. Got jvp=1."),
        (
            lambda: x_sin_x(1.0),
            TypeError,
            "inputs[0] must be a tensor. Got inputs[0]=1.0. Try torch.as_tensor",
        ),
        (
            lambda: custom_function(lambda x: (x, x), bad)(X),
            TypeError,
            "forward must return one tensor. Got forward=(",
        ),
        (
            lambda: bad(lambda inputs, output, g: (g, g)),
            ValueError,
            "vjp must return a cotangent for each of the 1 inputs. Got 2.",
        ),
        (
            lambda: bad(lambda inputs, output, g: g),
            ValueError,
            "vjp must return a cotangent for inputs[0] of shape (6,). Got (). Sum over the dimensions",
        ),
        (
            lambda: torch.func.jvp(
                custom_function(lambda x: x.sum(), bad, lambda inputs, output, v: v[0]), (X,), (X,)
            ),
            ValueError,
            "jvp must return a tangent of shape (). Got (6,).",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
