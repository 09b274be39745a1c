"""Stacks of layers: torch's own with the same weights, maps of every layer, messages."""

import re

import pytest
import torch

from funcsci import interop, nn, random, tree

KEY = random.key(29)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(70 + seed), shape)


def applied(**how):
    stack = nn.transformer_stack(8, 2, 2, 5)
    return stack.apply(stack.init(KEY), values(2, 6, 8), **how)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_stack_equals_torchs(norm_first):
    stack = nn.transformer_stack(8, 2, 3, 5, activation="gelu", norm_first=norm_first)
    params = tree.map(lambda leaf: leaf + 0.2 * values(*leaf.shape), stack.init(KEY))
    with torch.device("meta"):
        layer = torch.nn.TransformerEncoderLayer(
            8, 2, 5, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
        )
        last = torch.nn.LayerNorm(8) if norm_first else None
        module = torch.nn.TransformerEncoder(layer, 3, norm=last, enable_nested_tensor=False)
    module = module.to_empty(device="cpu")
    module.load_state_dict(interop.state_dict(params))
    x, mask = values(2, 6, 8), nn.causal_mask(6)
    leaf = x.clone().requires_grad_()
    expected = module(leaf, mask=~mask)
    torch.testing.assert_close(stack.apply(params, x, mask=mask).output, expected, rtol=0, atol=1e-12)
    expected.sin().sum().backward()
    by_params, by_x = torch.func.grad(
        lambda p, x: stack.apply(p, x, mask=mask).output.sin().sum(), argnums=(0, 1)
    )(params, x)
    torch.testing.assert_close(by_x, leaf.grad, rtol=0, atol=1e-12)
    flat = interop.state_dict(by_params)
    assert set(flat) == {name for name, _ in module.named_parameters()}
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(flat[name], parameter.grad, rtol=0, atol=1e-12)


def test_the_maps_are_those_of_each_layer():
    stack, layer = nn.transformer_stack(8, 2, 3, 5), nn.transformer_layer(8, 2, 5)
    params, x, mask = stack.init(KEY), values(2, 6, 8), nn.causal_mask(6)
    output, maps = stack.apply(params, x, mask=mask, return_weights=True)
    assert maps.shape == (3, 2, 2, 6, 6)
    torch.testing.assert_close(maps.sum(-1), torch.ones(3, 2, 2, 6))
    assert float(maps.triu(1).abs().max()) == 0
    for own, one in zip(params["layers"], maps, strict=True):
        x, weights = layer.apply(own, x, mask=mask, return_weights=True)
        assert torch.equal(weights, one)
    assert torch.equal(output, x)
    assert stack.apply(params, values(2, 6, 8)).weights is None
    assert torch.equal(stack.model.apply(params, x), stack.apply(params, x).output)


@pytest.mark.parametrize(
    "mask", [None, nn.causal_mask(6), nn.causal_mask(6)[-1:], nn.causal_mask(6).expand(2, 6, 6)]
)
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_end_alone_is_the_end_of_all(norm_first, mask):
    """Also for a mask of one row for all queries, and one for each sample."""
    for rotary in (False, True):
        stack = nn.transformer_stack(8, 2, 2, 5, norm_first=norm_first, rotary=rotary)
        params, x = stack.init(KEY), values(2, 6, 8)
        whole = stack.apply(params, x, mask=mask).output
        for last in (1, 4, 6):
            found = stack.apply(params, x, mask=mask, last=last).output
            torch.testing.assert_close(found, whole[:, -last:], rtol=0, atol=1e-13)


def test_begins_anew_with_each_key_on_every_device():
    stack = nn.transformer_stack(8, 2, 2, 5, norm_first=True)
    params = stack.init(KEY)
    assert not torch.equal(*(one["linear1"]["weight"] for one in params["layers"]))
    abstract = stack.init(KEY, device="meta", dtype=torch.float32)
    assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(abstract)} == {("meta", torch.float32)}
    assert "norm" not in nn.transformer_stack(8, 2, 2, 5, norm_first=True, norm=None).init(KEY)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.transformer_stack(8, 2, 0), "layers must be at least 1. Got layers=0."),
        (lambda: nn.transformer_stack(8, 3, 1), "heads must divide the width 8. Got heads=3. Try heads=2."),
        (lambda: nn.transformer_stack(8, 2, 1, norm="batch"), "norm must be one of 'layer', 'rms'."),
        (lambda: applied(last=0), "last must be at least 1. Got last=0."),
        (
            lambda: applied(last=2, return_weights=True),
            "return_weights=True must come without last, for which layers differ in their positions. "
            "Got last=2.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
