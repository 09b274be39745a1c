"""Positions: waves, learned vectors, rotations, messages."""

import re

import pytest
import torch

from funcsci import nn, random, tree

KEY = random.key(41)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(50 + seed), shape)


def test_positions_are_waves_and_a_shift_is_a_rotation():
    table = nn.sinusoidal_positions(50, 6, longest=100.0)
    place = torch.arange(50.0)
    for pair in range(3):
        rate = 100.0 ** (-2 * pair / 6)
        torch.testing.assert_close(table[:, 2 * pair], torch.sin(place * rate), rtol=0, atol=1e-13)
        torch.testing.assert_close(table[:, 2 * pair + 1], torch.cos(place * rate), rtol=0, atol=1e-13)
        turn = torch.tensor([[torch.cos(torch.tensor(7 * rate)), torch.sin(torch.tensor(7 * rate))]])
        turn = torch.cat([turn, torch.stack([-turn[0, 1], turn[0, 0]])[None]])
        both = table[:, 2 * pair : 2 * pair + 2]
        torch.testing.assert_close(both[:-7] @ turn.T, both[7:], rtol=0, atol=1e-12)
    assert torch.equal(table, nn.sinusoidal_positions(60, 6, longest=100.0)[:50])
    places = torch.tensor([3, 40])
    torch.testing.assert_close(nn.sinusoidal_positions(places, 6, longest=100.0), table[places])


def test_learned_positions_are_added_where_they_belong():
    model = nn.learned_positions(6, 4)
    params = model.init(KEY)
    x = values(3, 4, 4)
    torch.testing.assert_close(model.apply(params, x) - x, params["weight"][:4].expand(3, 4, 4))
    for first in (2, torch.tensor(2)):
        torch.testing.assert_close(model.apply(params, x, first) - x, params["weight"][2:].expand(3, 4, 4))
    assert 0.01 < float(nn.learned_positions(500, 40).init(KEY)["weight"].std()) < 0.03
    assert all(leaf.is_meta for leaf in tree.leaves(model.init(KEY, device="meta")))


def test_rotary_positions_turn_as_complex_numbers():
    x = values(2, 7, 6)
    pairs = torch.complex(x[..., :3], x[..., 3:])
    angles = torch.arange(4, 11)[:, None] * 100.0 ** (-torch.arange(3) / 3)
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    expected = torch.cat([turned.real, turned.imag], -1)
    found = nn.rotary_positions(x, first=4, longest=100.0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.norm(dim=-1), x.norm(dim=-1), rtol=1e-13, atol=0)


def test_rotary_products_depend_on_the_distance_alone():
    q, k = values(5, 8), values(5, 8, seed=1)
    near = nn.rotary_positions(q, first=3) @ nn.rotary_positions(k).T
    far = nn.rotary_positions(q, first=1003) @ nn.rotary_positions(k, first=1000).T
    torch.testing.assert_close(near, far, rtol=0, atol=1e-11)
    assert not torch.allclose(near, q @ k.T, atol=1e-2)


def test_rotary_attention_does_not_know_when_it_begins():
    """The same window later in the series gives the same outputs: no position is absolute."""
    attend = nn.multi_head_attention(8, 2, rotary=True)
    params = attend.init(KEY)
    x = values(20, 8)
    whole = attend.apply(params, x, mask=nn.causal_mask(20, window=4)).output
    late = attend.apply(params, x[8:], mask=nn.causal_mask(12, window=4)).output
    torch.testing.assert_close(whole[12:], late[4:], rtol=0, atol=1e-12)
    plain = nn.multi_head_attention(8, 2).apply(params, x, mask=nn.causal_mask(20, window=4)).output
    assert not torch.allclose(whole, plain, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nn.sinusoidal_positions(5, 3),
            "width must be even, a sine and a cosine for each wavelength.",
        ),
        (lambda: nn.sinusoidal_positions(0, 2), "positions must be at least 1. Got positions=0."),
        (lambda: nn.learned_positions(0, 2), "positions must be at least 1. Got positions=0."),
        (
            lambda: nn.learned_positions(3, 2).apply({"weight": torch.zeros(3, 2)}, torch.zeros(4, 2)),
            "x must have at most 3 positions. Got 4, shape (4, 2). Cut it, x[..., -3:, :]",
        ),
        (
            lambda: nn.learned_positions(3, 2).apply({"weight": torch.zeros(3, 2)}, torch.zeros(3, 5)),
            "x must have the shape (..., positions, 2). Got x of shape (3, 5).",
        ),
        (lambda: nn.rotary_positions(torch.zeros(4, 3)), "x must have an even last dimension"),
        (lambda: nn.rotary_positions(torch.zeros(4, 2), first=-1), "first must be at least 0. Got first=-1."),
        (
            lambda: nn.multi_head_attention(6, 2, rotary=True),
            "heads must leave an even width for each head where positions are rotary, of the width 6.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
