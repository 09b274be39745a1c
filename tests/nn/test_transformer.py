"""Transformer layers: torch's own with the same weights, gates and norms by formula, causality, messages."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import interop, nn, random, tree

KEY = random.key(23)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(15 + seed), shape)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["relu", "gelu"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_layer_equals_torchs(heads, each, activation, norm_first, causal, batched):
    width = heads * each
    layer = nn.transformer_layer(width, heads, 5, activation=activation, norm_first=norm_first)
    params = tree.map(lambda leaf: leaf + 0.2 * values(*leaf.shape), layer.init(KEY))
    module = torch.nn.TransformerEncoderLayer(
        width, heads, 5, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first,
        dtype=torch.float64, device="meta",
    ).to_empty(device="cpu")  # fmt: skip
    module.load_state_dict(interop.state_dict(params))
    x = values(3, 4, width) if batched else values(4, width)
    mask = nn.causal_mask(4) if causal else None
    source_mask = None if mask is None else ~mask
    output, weights = layer.apply(params, x, mask=mask, return_weights=True)
    leaf = x.clone().requires_grad_()
    expected = module(leaf, src_mask=source_mask)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        layer.apply(params, x, mask=mask, fused=True).output, expected, rtol=0, atol=1e-12
    )
    assert weights.shape == (*x.shape[:-2], heads, 4, 4)
    if not causal:
        assert torch.equal(layer.model.apply(params, x), output)

    expected.sin().sum().backward()
    by_params, by_x = torch.func.grad(
        lambda p, x: layer.apply(p, x, mask=mask).output.sin().sum(), argnums=(0, 1)
    )(params, x)
    torch.testing.assert_close(by_x, leaf.grad, rtol=0, atol=1e-12)
    flat = interop.state_dict(by_params)
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(flat[name], parameter.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_future_changes_nothing_before_it(norm_first):
    layer = nn.transformer_layer(8, 2, norm_first=norm_first)
    params, x = layer.init(KEY), values(2, 6, 8)
    changed = torch.cat([x[:, :4], 100 + x[:, 4:]], 1)
    before, after = (layer.apply(params, one, mask=nn.causal_mask(6)).output for one in (x, changed))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("norm", ["rms", None])
def test_other_norms_and_a_gate_by_their_formula(norm, norm_first):
    layer = nn.transformer_layer(
        8, 2, 5, activation="silu", gated=True, norm=norm, norm_first=norm_first, eps=1e-3
    )
    params, x = layer.init(KEY), values(2, 4, 8)
    attend, network = nn.multi_head_attention(8, 2), nn.feed_forward(8, 5, activation="silu", gated=True)

    def scaled(x):
        return x if norm is None else x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt()

    def attended(x):
        return attend.apply(params["self_attn"], x).output

    if norm_first:
        inner = x + attended(scaled(x))
        expected = inner + network.apply(params, scaled(inner))
    else:
        inner = scaled(x + attended(x))
        expected = scaled(inner + network.apply(params, inner))
    torch.testing.assert_close(layer.apply(params, x).output, expected, rtol=0, atol=1e-13)
    assert ("norm1" in params) == (norm is not None)


def test_begins_anew_with_each_key_on_every_device():
    layer = nn.transformer_layer(8, 2)
    params = layer.init(KEY, device="meta", dtype=torch.float32)
    assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(params)} == {("meta", torch.float32)}
    assert layer.apply(params, torch.empty(2, 6, 8, device="meta", dtype=torch.float32)).output.is_meta
    ensemble = torch.func.vmap(layer.init)(random.split(KEY, 2))
    members = tree.stack([layer.init(key) for key in random.split(KEY, 2)])
    assert tree.allclose(ensemble, members, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.transformer_layer(8, 3), "heads must divide the width 8. Got heads=3. Try heads=2."),
        (lambda: nn.transformer_layer(8, 2, 0), "hidden must be at least 1. Got hidden=0."),
        (lambda: nn.transformer_layer(8, 2, activation="geluu"), "Did you mean 'gelu'?"),
        (
            lambda: nn.transformer_layer(8, 2, norm="batch"),
            "norm must be one of 'layer', 'rms'. Got norm='batch'.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
