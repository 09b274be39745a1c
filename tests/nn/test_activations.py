"""The registry: torch's functions, twice differentiable, resolved by name."""

import re

import pytest
import torch

from funcsci import nn

MODULES = {
    "tanh": torch.nn.Tanh(),
    "sin": torch.sin,
    "sigmoid": torch.nn.Sigmoid(),
    "softplus": torch.nn.Softplus(),
    "silu": torch.nn.SiLU(),
    "gelu": torch.nn.GELU(),
    "elu": torch.nn.ELU(),
    "selu": torch.nn.SELU(),
    "relu": torch.nn.ReLU(),
    "identity": torch.nn.Identity(),
}


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_equals_torchs_module(name):
    x = torch.linspace(-3, 3, 41)
    assert torch.equal(nn.activation(name)(x), MODULES[name](x))


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_nested_derivatives_are_those_of_central_differences(name):
    function = nn.activation(name)
    # Away from 0, where relu, elu and selu have a corner or a jump.
    x = torch.linspace(-3, 3, 12)
    first = torch.func.vmap(torch.func.grad(function))
    second = torch.func.vmap(torch.func.grad(torch.func.grad(function)))
    h = 1e-5
    torch.testing.assert_close(first(x), (function(x + h) - function(x - h)) / (2 * h), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(second(x), (first(x + h) - first(x - h)) / (2 * h), rtol=1e-8, atol=1e-8)


# torch imports its rules for forward mode through torch.jit.script, which warns since 2.9.
@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_forward_mode_equals_reverse_mode(name):
    function = nn.activation(name)
    x = torch.linspace(-3, 3, 12)
    _, forward = torch.func.jvp(function, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(forward, torch.func.vmap(torch.func.grad(function))(x), rtol=1e-13, atol=1e-13)


def test_a_function_is_returned_as_it_is():
    module = torch.nn.Hardtanh()
    assert nn.activation(torch.cos) is torch.cos
    assert nn.activation(module) is module


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("tahn", ValueError, "activation must be one of 'tanh', 'sin', "),
        ("SiLU", ValueError, "Got activation='SiLU'. Did you mean 'silu'?"),
        (3, TypeError, "activation must be a name or a function of one tensor. Got activation=3."),
        (torch.nn.Tanh, TypeError, "a function of one tensor. Got activation=<class"),
        (
            torch.nn.PReLU(),
            TypeError,
            "activation must keep its parameters outside. Got the Module PReLU, whose parameters would not "
            "be learned. Use the library's own layer, such as nn.linear, or a plain function, such as "
            "torch.tanh.",
        ),
    ],
)
def test_errors_say_what_must_hold(wrong, error, message):
    with pytest.raises(error, match=re.escape(message)):
        nn.activation(wrong)
