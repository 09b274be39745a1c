"""Attention that remembers: position by position it is the same function as all at once."""

import re

import pytest
import torch

from funcsci import nn, random, tree
from funcsci.compile import jit

KEY = random.key(31)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(40 + seed), shape)


def one_by_one(part, params, x, window: int, sizes: list[int]) -> torch.Tensor:
    """The outputs of `extend`, so many positions at a time."""
    past, outputs = part.start(params, tuple(x.shape[:-2]), window), []
    for new in x.split(sizes, -2):
        output, past = part.extend(params, new, past)
        outputs.append(output)
    return torch.cat(outputs, -2)


PARTS = {
    "attention": lambda rotary: nn.multi_head_attention(8, 2, rotary=rotary),
    "layer": lambda rotary: nn.transformer_layer(8, 2, 5, rotary=rotary),
    "stack": lambda rotary: nn.transformer_stack(8, 2, 3, 5, norm_first=True, gated=True, rotary=rotary),
}


@pytest.mark.parametrize("sizes", [[1] * 9, [4, 5], [9], [2, 1, 6]], ids=str)
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("name", PARTS)
def test_extending_equals_all_at_once(name, rotary, sizes):
    """In any pieces, with a window shorter or longer than a piece, over several windows."""
    part = PARTS[name](rotary)
    params = part.init(KEY)
    for window, x in ((0, values(9, 8)), (3, values(2, 9, 8)), (6, values(2, 9, 8))):
        expected = part.apply(params, x, mask=nn.causal_mask(9, window=window)).output
        found = one_by_one(part, params, x, window, sizes)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_what_is_remembered_rolls_along_and_does_not_grow():
    part = PARTS["stack"](True)
    params = part.init(KEY)
    past = part.start(params, (2,), 4)
    assert [(one.window, int(one.seen)) for one in past] == [(4, 0)] * 3
    step = jit(part.extend, backend="trace")
    for count in range(1, 8):
        _, past = step(params, values(2, 1, 8, seed=count), past)
        assert all(one.keys.shape == one.values.shape == (2, 2, 4, 4) for one in past)
        assert all(int(one.seen) == count for one in past)
    assert len(step.compilations) == 1
    layer = part.init(KEY)["layers"][0]["self_attn"]
    own = nn.multi_head_attention(8, 2)
    _, short = own.extend(layer, values(2, 6, 8), own.start(layer, (2,), 4))
    projected = torch.nn.functional.linear(values(2, 6, 8), layer["in_proj_weight"], layer["in_proj_bias"])
    keys = projected[..., 8:16].reshape(2, 6, 2, 4).transpose(1, 2)[..., -4:, :]
    torch.testing.assert_close(short.keys, keys, rtol=0, atol=0)


def test_places_that_nothing_has_filled_are_not_looked_at():
    """Whatever stands there: the zeros at first are no keys."""
    part = PARTS["layer"](False)
    params = part.init(KEY)
    empty = part.start(params, (2,), 4)
    rubbish = empty._replace(keys=100 + values(2, 2, 4, 4), values=1e3 * values(2, 2, 4, 4))
    x = values(2, 3, 8)
    clean, dirty = part.extend(params, x, empty)[0], part.extend(params, x, rubbish)[0]
    assert torch.equal(clean, dirty)


def test_extending_has_gradients_and_an_ensemble():
    part = PARTS["stack"](True)
    x = values(7, 8)

    def by_pieces(params, x):
        return one_by_one(part, params, x, 3, [3, 4]).sin().sum()

    def at_once(params, x):
        return part.apply(params, x, mask=nn.causal_mask(7, window=3)).output.sin().sum()

    params = part.init(KEY)
    found, expected = (torch.func.grad(loss, argnums=(0, 1))(params, x) for loss in (by_pieces, at_once))
    assert tree.allclose(found, expected, rtol=0, atol=1e-12)
    ensemble = torch.func.vmap(part.init)(random.split(KEY, 2))
    mapped = torch.func.vmap(by_pieces, (0, None))(ensemble, x)
    looped = torch.stack([by_pieces(part.init(key), x) for key in random.split(KEY, 2)])
    torch.testing.assert_close(mapped, looped, rtol=1e-12, atol=0)


def test_a_window_is_a_number_of_positions():
    part = nn.multi_head_attention(8, 2)
    with pytest.raises(ValueError, match=re.escape("shape[2] must be at least 0. Got shape[2]=-1.")):
        part.start(part.init(KEY), (3,), -1)
