"""The networks of a transformer: formulas, quadratic forms, messages."""

import re

import pytest
import torch

from funcsci import nn, random, tree

KEY = random.key(61)


def affine(params, x):
    return x @ params["weight"].T + params.get("bias", 0.0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gated", [True, False])
def test_equals_its_formula(gated, bias):
    model = nn.feed_forward(4, 7, activation="silu", gated=gated, bias=bias)
    params = model.init(KEY)
    x = random.normal(KEY, (3, 5, 4))
    inner = affine(params["linear1"], x)
    inner = inner / (1 + torch.exp(-inner))
    inner = inner * affine(params["gate"], x) if gated else inner
    torch.testing.assert_close(model.apply(params, x), affine(params["linear2"], inner), rtol=0, atol=1e-14)
    assert ("gate" in params, "bias" in params["linear1"]) == (gated, bias)
    assert params["linear2"]["weight"].shape == (4, 7)


def test_a_bilinear_gate_holds_the_field_of_lorenz_exactly():
    """Three products and a linear part: x z and x y are forms of rank one, and constants make the rest."""
    model = nn.feed_forward(3, 5, activation="identity", gated=True)
    x, y, z = torch.eye(3)
    # Rows of the two factors: x times z, x times y, and 1 times x, y and z.
    params = {
        "linear1": {
            "weight": torch.stack([x, x, 0 * x, 0 * x, 0 * x]),
            "bias": torch.tensor([0.0, 0, 1, 1, 1]),
        },
        "gate": {"weight": torch.stack([z, y, x, y, z]), "bias": torch.zeros(5)},
        "linear2": {
            "weight": torch.tensor([[0, 0, -10, 10, 0], [-1, 0, 28, -1, 0], [0, 1, 0, 0, -8 / 3]]),
            "bias": torch.zeros(3),
        },
    }
    state = 10 * random.normal(KEY, (50, 3))
    a, b, c = state.unbind(-1)
    field = torch.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], -1)
    torch.testing.assert_close(model.apply(params, state), field, rtol=0, atol=1e-11)


def test_maps_do_not_depend_on_the_gate_and_are_known_on_meta():
    plain, gated = nn.feed_forward(4, 6).init(KEY), nn.feed_forward(4, 6, gated=True).init(KEY)
    assert all(torch.equal(plain[name]["weight"], gated[name]["weight"]) for name in plain)
    assert nn.feed_forward(4).init(KEY)["linear1"]["weight"].shape == (16, 4)
    abstract = nn.feed_forward(4, gated=True).init(KEY, device="meta", dtype=torch.float32)
    assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(abstract)} == {("meta", torch.float32)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.feed_forward(0), "width must be at least 1. Got width=0."),
        (lambda: nn.feed_forward(4, 0), "hidden must be at least 1. Got hidden=0."),
        (lambda: nn.feed_forward(4, activation="geluu"), "Did you mean 'gelu'?"),
        (
            lambda: nn.feed_forward(4).apply(nn.feed_forward(4).init(KEY), torch.zeros(2, 3)),
            "x must have 4 features",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
