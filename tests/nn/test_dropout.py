"""Dropout: its law, its key, messages."""

import re

import pytest
import torch

from funcsci import nn, random
from funcsci.compile import jit

KEY = random.key(2)


def test_keeps_the_mean_and_drops_the_share():
    x = torch.full((200, 500), 3.0)
    for p in (0.1, 0.5, 0.9):
        y, state = nn.dropout(p).apply({}, {}, x, train=True, key=KEY)
        assert state == {}
        torch.testing.assert_close(y.unique(), torch.tensor([0.0, 3.0 / (1 - p)]), rtol=1e-14, atol=0)
        share = float((y == 0).double().mean())
        assert abs(share - p) < 5 * (p * (1 - p) / x.numel()) ** 0.5  # five standard deviations


def test_the_key_decides_and_evaluation_changes_nothing():
    model, x = nn.dropout(0.5), torch.ones(1000)
    first, _ = model.apply({}, {}, x, train=True, key=KEY)
    again, _ = (
        jit(lambda x, key: model.apply({}, {}, x, train=True, key=key)[0], backend="trace")(x, KEY),
        None,
    )
    assert torch.equal(first, again)
    other, _ = model.apply({}, {}, x, train=True, key=random.key(3))
    assert not torch.equal(first, other)
    assert model.apply({}, {}, x, train=False)[0] is x
    assert nn.dropout(0.0).apply({}, {}, x, train=True)[0] is x


def test_layers_of_one_network_drop_different_entries():
    model = nn.sequential(nn.dropout(0.5), nn.dropout(0.5))
    params, state = model.init(KEY)
    y, _ = model.apply(params, state, torch.ones(4000), train=True, key=KEY)
    assert float((y != 0).double().mean()) == pytest.approx(0.25, abs=0.035)


def test_gradients_pass_where_entries_were_kept():
    x = random.normal(KEY, (50,))
    gradient = torch.func.grad(lambda x: nn.dropout(0.5).apply({}, {}, x, train=True, key=KEY)[0].sum())(x)
    y, _ = nn.dropout(0.5).apply({}, {}, x, train=True, key=KEY)
    torch.testing.assert_close(gradient, y / x, rtol=1e-14, atol=1e-14)
    each = torch.func.vmap(lambda key: nn.dropout(0.5).apply({}, {}, x, train=True, key=key)[0])
    assert torch.equal(
        each(random.split(KEY, 3))[1],
        nn.dropout(0.5).apply({}, {}, x, train=True, key=random.split(KEY, 3)[1])[0],
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.dropout(1.0), "p must be below 1, or nothing is left. Got p=1.0. Try p=0.5."),
        (lambda: nn.dropout(-0.1), "p must not be negative. Got p=-0.1."),
        (
            lambda: nn.dropout(0.5).apply({}, {}, torch.ones(2), train=True),
            "dropout must have a key in training. Got key=None. Pass key=random.key(0) to apply,",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
