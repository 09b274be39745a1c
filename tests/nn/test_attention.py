"""Attention: its formula, torch's own with the same weights, masks, derivatives, causality, messages."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, random, tree

KEY = random.key(17)
sizes = st.integers(1, 4)
batches = st.lists(sizes, max_size=2).map(tuple)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(80 + seed), shape)


def by_hand(q, k, v, mask=None):
    """The formula, a query at a time; a boolean mask leaves keys out before the softmax."""
    rows = []
    for index, row in enumerate(q):
        scores = torch.stack([(row * other).sum() for other in k]) / len(row) ** 0.5
        keep = torch.ones(len(k), dtype=torch.bool) if mask is None else mask[index]
        shares = torch.exp(scores - scores.max()) * keep
        total = shares.sum()
        rows.append((shares / total) @ v if total > 0 else 0 * v[0])
    return torch.stack(rows)


@pytest.mark.parametrize("fused", [False, True])
@given(sizes, sizes, sizes, st.booleans())
def test_attention_is_its_formula(fused, queries, keys, features, masked):
    q, k, v = values(queries, features), values(keys, features, seed=1), values(keys, 3, seed=2)
    mask = random.bernoulli(KEY, 0.5, (queries, keys)) if masked else None
    expected = by_hand(q, k, v, mask)
    found = nn.attention(q, k, v, mask=mask, fused=fused)
    torch.testing.assert_close(found.output, expected, rtol=1e-13, atol=1e-13)
    if masked:
        added = torch.where(mask, 0.0, -torch.inf)
        torch.testing.assert_close(
            nn.attention(q, k, v, mask=added, fused=fused).output, expected, rtol=1e-13, atol=1e-13
        )


def test_weights_are_shares():
    mask = torch.tensor([[True, True, False], [False, False, False]])
    _, weights = nn.attention(values(2, 4), values(3, 4), values(3, 4), mask=mask, return_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.tensor([1.0, 0.0]), rtol=1e-14, atol=0)
    assert weights[0, 2] == 0 and (weights[0, :2] > 0).all()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("additive", [False, True])
def test_a_row_that_may_look_nowhere_is_zero_and_has_no_nan_in_its_gradient(fused, additive):
    mask = torch.tensor([[True, True, False], [False, False, False]])
    mask = torch.where(mask, 0.5, -torch.inf) if additive else mask

    def f(q, k, v):
        return nn.attention(q, k, v, mask=mask, fused=fused).output

    arguments = (values(2, 4), values(3, 4, seed=1), values(3, 4, seed=2))
    assert torch.equal(f(*arguments)[1], torch.zeros(4))
    gradients = torch.func.grad(lambda *a: f(*a).sin().sum(), argnums=(0, 1, 2))(*arguments)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert torch.equal(gradients[0][1], torch.zeros(4)) and torch.equal(gradients[2][2], torch.zeros(4))


@given(
    st.integers(1, 3),
    sizes,
    st.lists(sizes, max_size=1).map(tuple),
    sizes,
    sizes,
    st.booleans(),
    st.booleans(),
)
def test_multi_head_attention_equals_torch(heads, each, batch, queries, keys, bias, itself):
    width = heads * each
    model = nn.multi_head_attention(width, heads, bias=bias)
    params = model.init(KEY)
    params = tree.map(lambda leaf: leaf + 0.1 * values(*leaf.shape), params)  # biases begin with zeros
    module = torch.nn.MultiheadAttention(
        width, heads, bias=bias, batch_first=True, dtype=torch.float64, device="meta"
    ).to_empty(device="cpu")
    flat = {name: leaf for name, leaf in params.items() if name != "out_proj"}
    module.load_state_dict(flat | {f"out_proj.{name}": leaf for name, leaf in params["out_proj"].items()})
    query = values(*batch, queries, width)
    memory = None if itself else values(*batch, keys, width, seed=1)
    keys = queries if itself else keys
    mask = random.bernoulli(KEY, 0.5, (queries, keys)) | (
        torch.arange(keys) == 0
    )  # torch gives nan for empty rows

    def reference(query, memory):
        memory = query if memory is None else memory
        return module(query, memory, memory, attn_mask=~mask, average_attn_weights=False)

    output, weights = model.apply(params, query, memory, mask=mask, return_weights=True)
    expected, shares = reference(query, memory)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(weights, shares, rtol=0, atol=1e-12)
    fused = model.apply(params, query, memory, mask=mask, fused=True).output
    torch.testing.assert_close(fused, expected, rtol=0, atol=1e-12)

    leaf = query.clone().requires_grad_()
    reference(leaf, memory)[0].sin().sum().backward()
    for way in (False, True):
        by_params, by_query = torch.func.grad(
            lambda p, x, way=way: model.apply(p, x, memory, mask=mask, fused=way).output.sin().sum(),
            argnums=(0, 1),
        )(params, query)
        torch.testing.assert_close(by_query, leaf.grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(
            by_params["in_proj_weight"], module.in_proj_weight.grad, rtol=0, atol=1e-12
        )
        torch.testing.assert_close(
            by_params["out_proj"]["weight"], module.out_proj.weight.grad, rtol=0, atol=1e-12
        )


def test_a_mask_of_its_own_for_each_sample_serves_all_heads():
    model = nn.multi_head_attention(6, 2)
    params, x = model.init(KEY), values(3, 4, 6)
    masks = random.bernoulli(KEY, 0.6, (3, 4, 4))
    together = model.apply(params, x, mask=masks).output
    apart = torch.stack(
        [model.apply(params, one, mask=mask).output for one, mask in zip(x, masks, strict=True)]
    )
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-14)
    mapped = torch.func.vmap(lambda x, mask: model.apply(params, x, mask=mask).output)(x, masks)
    torch.testing.assert_close(mapped, apart, rtol=0, atol=1e-14)


def test_the_plain_path_has_second_derivatives_and_forward_mode():
    q, k, v = values(3, 4), values(5, 4, seed=1), values(5, 2, seed=2)

    def f(q):
        return nn.attention(q, k, v, mask=nn.causal_mask(3, 5)).output.sin().sum()

    def plain(q):
        return by_hand(q, k, v, nn.causal_mask(3, 5)).sin().sum()

    hessian, expected = torch.func.hessian(f)(q), torch.func.hessian(plain)(q)
    torch.testing.assert_close(hessian, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
def test_the_future_changes_nothing_before_it(fused):
    model = nn.multi_head_attention(6, 2)
    params, x = model.init(KEY), values(2, 5, 6)
    changed = torch.cat([x[:, :3], 100 + x[:, 3:]], 1)
    before, after = (
        model.apply(params, one, mask=nn.causal_mask(5), fused=fused).output for one in (x, changed)
    )
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.equal(before[:, 3:], after[:, 3:])


@given(st.integers(1, 5), st.integers(0, 3), st.none() | st.integers(0, 4))
def test_a_causal_mask_says_who_comes_before(queries, earlier, window):
    mask = nn.causal_mask(queries, queries + earlier, window=window)
    for row in range(queries):
        own = earlier + row
        first = 0 if window is None else max(0, own - window)
        assert mask[row].nonzero().flatten().tolist() == list(range(first, own + 1))


def test_begins_as_torchs_on_every_device():
    model = nn.multi_head_attention(64, 4)
    params = model.init(KEY, device="meta", dtype=torch.float32)
    assert params["in_proj_weight"].is_meta and params["out_proj"]["bias"].dtype == torch.float32
    assert model.apply(params, torch.empty(2, 5, 64, device="meta", dtype=torch.float32)).output.is_meta
    drawn = model.init(KEY)
    assert 0.95 < float(drawn["in_proj_weight"].abs().max()) / (6 / 256) ** 0.5 <= 1
    assert 0.95 < float(drawn["out_proj"]["weight"].abs().max()) * 8 <= 1
    assert not drawn["in_proj_bias"].any() and not drawn["out_proj"]["bias"].any()


MODEL = nn.multi_head_attention(6, 2)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.multi_head_attention(64, 6),
            ValueError,
            "heads must divide the width 64. Got heads=6. Try heads=4.",
        ),
        (lambda: nn.multi_head_attention(0, 1), ValueError, "width must be at least 1."),
        (
            lambda: MODEL.apply(MODEL.init(KEY), torch.zeros(2, 5, 4)),
            ValueError,
            "x must have 6 features in its last dimension. Got x of shape (2, 5, 4).",
        ),
        (
            lambda: MODEL.apply(MODEL.init(KEY), torch.zeros(6)),
            ValueError,
            "x must have the shape (..., positions, features). Got x of shape (6,).",
        ),
        (
            lambda: MODEL.apply(MODEL.init(KEY), torch.zeros(2, 5, 6), mask=nn.causal_mask(4)),
            ValueError,
            "mask must broadcast to (..., queries, keys), here (2, 2, 5, 5). Got mask of shape (4, 4). "
            "Try nn.causal_mask(5, 5).",
        ),
        (
            lambda: nn.attention(torch.zeros(2, 3), torch.zeros(4, 2), torch.zeros(4, 3)),
            ValueError,
            "query and key must have the same features, and key and value the same positions. Got shapes",
        ),
        (
            lambda: nn.attention(*[torch.zeros(2, 3)] * 3, return_weights=True, fused=True),
            ValueError,
            "return_weights=True must come with fused=False, whose kernel keeps no weights. Got both.",
        ),
        (lambda: nn.causal_mask(3, 2), ValueError, "keys must be at least 3. Got keys=2."),
        (lambda: nn.causal_mask(3, window=-1), ValueError, "window must be at least 0."),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
