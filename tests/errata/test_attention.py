"""Errata of module 7: heads, positions, blocks, and what a map of attention shows."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from funcsci import data, models, nn, random, tree


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(76), shape)


def torch_attention(width: int, heads: int, **options) -> torch.nn.MultiheadAttention:
    """torch's module with the weights that a key decides."""
    module = torch.nn.MultiheadAttention(width, heads, **options)
    params = nn.multi_head_attention(width, heads).init(random.key(0))
    module.load_state_dict(
        {
            "in_proj_weight": params["in_proj_weight"],
            "in_proj_bias": params["in_proj_bias"],
            "out_proj.weight": params["out_proj"]["weight"],
            "out_proj.bias": params["out_proj"]["bias"],
        }
    )
    return module


def test_heads_are_joined_and_then_mixed_by_one_more_matrix():
    module, x = torch_attention(8, 2, batch_first=True), values(1, 5, 8)
    q, k, v = F.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
    heads = [nn.attention(*(part.chunk(2, -1)[head] for part in (q, k, v))).output for head in range(2)]
    joined = torch.cat(heads, -1)
    expected = module(x, x, x)[0]
    torch.testing.assert_close(F.linear(joined, module.out_proj.weight, module.out_proj.bias), expected)
    assert not torch.allclose(joined, expected, rtol=1e-2)


def test_attention_moves_with_its_inputs_and_is_not_invariant():
    model, x = nn.multi_head_attention(8, 2), values(5, 8)
    params = model.init(random.key(0))
    order = torch.tensor([3, 0, 4, 1, 2])
    straight, moved = (model.apply(params, one).output for one in (x, x[order]))
    torch.testing.assert_close(moved, straight[order])
    assert not torch.allclose(moved, straight, rtol=1e-2)
    causal = [model.apply(params, one, mask=nn.causal_mask(5)).output for one in (x, x[order])]
    assert not torch.allclose(causal[1], causal[0][order], rtol=1e-2)  # a mask knows an order


def test_sinusoidal_positions_tell_distances_and_do_not_repeat():
    """A shift turns each pair by an angle; 5,000 positions, no two of them alike."""
    width, shift = 16, 7
    table = nn.sinusoidal_positions(5000, width)
    pairs = torch.view_as_complex(table.flip(-1).reshape(5000, -1, 2).contiguous())  # cos + i sin
    turn = torch.exp(1j * shift * 10_000.0 ** (-torch.arange(width // 2).flip(0) / (width // 2)))
    torch.testing.assert_close(pairs[shift:], pairs[:-shift] * turn)
    assert float((table[1:] - table[0]).norm(dim=-1).min()) > 0.5


def test_softmax_needs_the_scores():
    with pytest.raises(TypeError, match="input"):
        F.softmax(dim=-1)
    torch.testing.assert_close(F.softmax(values(2, 3), dim=-1).sum(-1), torch.ones(2))


def test_a_row_that_may_look_nowhere_is_no_number():
    scores = torch.zeros(2, 3)
    mask = torch.tensor([[0.0, 0.0, -torch.inf], [-torch.inf] * 3])
    weights = torch.softmax(scores + mask, -1)
    assert weights[0].tolist() == [0.5, 0.5, 0] and bool(weights[1].isnan().all())
    ours = nn.attention(torch.zeros(2, 1), torch.zeros(3, 1), values(3, 1), mask=mask)
    assert float(ours.output[1]) == 0


@pytest.mark.parametrize("size", [1.0, 10.0])
def test_a_norm_after_the_sum_stands_in_the_way_of_the_gradient(size):
    """With branches that add nothing, a block with the norm inside is the identity. One with the norm after
    the sum divides the gradient by the deviation, and passes none along x or a constant."""
    x = size * values(1, 8)
    jacobians = {}
    for norm_first in (True, False):
        layer = nn.transformer_layer(8, 2, norm_first=norm_first)
        params = layer.init(random.key(0))
        silent = {"self_attn": tree.map(torch.zeros_like, params["self_attn"])}
        silent["linear2"] = tree.map(torch.zeros_like, params["linear2"])
        jacobian = torch.func.jacrev(layer.model.apply, argnums=1)({**params, **silent}, x)
        jacobians[norm_first] = jacobian[0, :, 0]
    torch.testing.assert_close(jacobians[True], torch.eye(8))
    after = jacobians[False]
    torch.testing.assert_close(after @ torch.ones(8), torch.zeros(8), rtol=0, atol=1e-12)
    assert float((after @ x[0]).norm() / x.norm()) < 1e-4
    deviation = float(x.std(correction=0))
    assert float(torch.linalg.matrix_norm(after, 2)) == pytest.approx(1 / deviation, rel=1e-3)


def test_multihead_attention_takes_the_time_first_unless_told():
    """Given (batch, time, width) it attends from sample to sample."""
    x = values(3, 5, 8)
    changed = torch.cat([x[:2], x[2:] + 1])
    for batch_first in (True, False):
        module = torch_attention(8, 2, batch_first=batch_first)
        before, after = (module(one, one, one)[0][0] for one in (x, changed))
        assert torch.allclose(before, after) == batch_first


def test_multihead_attention_shows_the_mean_of_its_heads():
    module, x = torch_attention(8, 2, batch_first=True), values(1, 5, 8)
    each = module(x, x, x, average_attn_weights=False)[1]
    shown = module(x, x, x)[1]
    assert each.shape == (1, 2, 5, 5) and shown.shape == (1, 5, 5)
    torch.testing.assert_close(shown, each.mean(1))


def test_two_networks_of_one_function_can_have_any_maps():
    """Where what the first layer took up is not used, its map is whatever its scores are."""
    model = models.operator_transformer(points=16, width=8, heads=2, layers=2)
    params = model.init(random.key(0))
    first, second = params["layers"]
    unused = {**first, "out": tree.map(torch.zeros_like, first["out"])}
    maps, outputs = [], []
    u = values(4, 16)
    for offset in (0, 5):  # a band on the diagonal, and one five points beside it
        band = -40 * torch.sin(torch.pi * (torch.arange(16) - offset) / 16).square()
        shown = {**unused, "nearness": band.expand(2, 16)}
        network = {**params, "layers": [shown, second]}
        outputs.append(model.apply(network, u))
        maps.append(model.attention(network, u)[0])
    assert torch.equal(*outputs)
    place = torch.arange(16)
    for offset, weights in zip((0, 5), maps, strict=True):
        assert torch.equal(weights.argmax(-1), ((place + offset) % 16).expand(4, 2, 16))


def cole_hopf_weights(x: float, y: torch.Tensor, potential: torch.Tensor, viscosity: float) -> torch.Tensor:
    """How much u0(y) counts in u(x, 1), which is their mean: exp(-((x - y)² / 2 + U(y)) / 2ν), U' = u0."""
    return torch.softmax(-((x - y).square() / 2 + potential) / (2 * viscosity), 0)


def test_two_upstream_places_decide_what_happens_at_a_shock():
    """u0 = sin 2πx. Its mean by Cole's and Hopf's weights is the solution; they have two peaks at x = 1/2."""
    viscosity, points = 0.02, 64
    y = torch.arange(-3000, 4000) / 1000
    potential = (1 - torch.cos(2 * torch.pi * y)) / (2 * torch.pi)
    u0 = torch.sin(2 * torch.pi * y)
    grid = torch.arange(points) / points
    solution = data.burgers_solution(
        torch.sin(2 * torch.pi * grid)[None], viscosity=viscosity, steps=400, progress_bar=False
    )[0]
    weights = torch.stack([cole_hopf_weights(float(x), y, potential, viscosity) for x in grid])
    torch.testing.assert_close(weights @ u0, solution, rtol=0, atol=1e-4)

    def peaks(place: int) -> list[float]:
        shape = weights[place].numpy()
        return y[scipy.signal.find_peaks(shape, height=0.3 * shape.max())[0]].tolist()

    assert len(peaks(points // 4)) == 1
    left, right = peaks(points // 2)
    assert left + right == pytest.approx(1) and right - left > 0.5


def test_without_a_viscosity_the_target_is_not_defined():
    x = torch.arange(64) / 64
    u0 = torch.sin(2 * torch.pi * x)[None]
    thick, thin = (
        data.burgers_solution(u0, viscosity=viscosity, steps=400, progress_bar=False)
        for viscosity in (0.1, 0.02)
    )
    assert float(nn.relative_l2(thick, thin)) > 0.5
    # Before the first shock, at 1 / max(-u0'), it hardly matters: along characteristics u stays as it was.
    early = 0.5 / (2 * math.pi)
    inviscid = np.interp(x.numpy(), (x + early * u0[0]).numpy(), u0[0].numpy(), period=1)
    smooth = data.burgers_solution(
        u0, viscosity=1e-3, time=early, steps=400, resolution=512, progress_bar=False
    )
    assert float((smooth[0] - torch.from_numpy(inviscid)).abs().max()) < 0.01
