"""The causal transformer: its formula, causality, memory, scaling, messages."""

import re

import pytest
import torch

from funcsci import models, nn, random, tree

KEY = random.key(91)
SMALL = {"width": 8, "heads": 2, "layers": 2, "hidden": 12, "context": 9}
KINDS = {
    "learned": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "rotary": {"positions": "rotary"},
    "banded": {"positions": "rotary", "window": 3},
    "bilinear": {"positions": "rotary", "activation": "identity", "gated": True, "norm": None},
    "rms": {"norm": "rms"},
}
SCALING = models.Scaling((1.0, -2.0, 3.0), (2.0, 5.0, 0.5), (0.1, 0.3, 0.02))


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(80 + seed), shape)


def made(kind: str, **more):
    model = models.causal_transformer(3, **SMALL, **KINDS[kind], **more)
    params = model.init(KEY)
    return model, tree.map(lambda leaf: leaf + 0.1 * values(*leaf.shape), params)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_future_changes_nothing_before_it(kind, fused):
    """Exactly: not one bit of what comes before, wherever the series changes."""
    model, params = made(kind, fused=fused)
    x = values(2, 9, 3)
    before = model.apply(params, x)
    for place in range(1, 9):
        after = model.apply(params, torch.cat([x[:, :place], 100 + x[:, place:]], 1))
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.equal(before[:, place:], after[:, place:])


@pytest.mark.parametrize("kind", KINDS)
def test_extending_equals_applying_to_the_whole(kind):
    model, params = made(kind, scaling=SCALING)
    x = values(2, 9, 3)
    past, outputs = model.start(params, (2,)), []
    for new in x.split([4, 1, 1, 3], 1):
        output, past = model.extend(params, new, past)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, 1), model.apply(params, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_state_alone_is_the_same(kind, fused):
    model, params = made(kind, scaling=SCALING, fused=fused)
    for time in (1, 9):
        x = values(2, time, 3)
        torch.testing.assert_close(model.next(params, x), model.apply(params, x)[:, -1], rtol=0, atol=1e-13)


def test_learns_the_step_in_units_of_its_own():
    """x + s f((x - mean) / std), with f from the same network without units."""
    (plain, params), (scaled, _) = made("learned"), made("learned", scaling=SCALING)
    mean, std, step = map(torch.tensor, SCALING)
    x = values(4, 9, 3)
    z = (x - mean) / std
    expected = x + step * (plain.apply(params, z) - z)
    torch.testing.assert_close(scaled.apply(params, x), expected, rtol=0, atol=1e-13)
    still = {**params, "head": tree.map(torch.zeros_like, params["head"])}
    assert torch.equal(scaled.apply(still, x), x)


def test_scaling_is_that_of_the_series():
    series = values(200, 3).cumsum(0)
    found = models.Scaling.of(series)
    array = series.numpy()
    for mine, theirs in (
        (found.mean, array.mean(0)),
        (found.std, array.std(0, ddof=1)),
        (found.step, (array[1:] - array[:-1]).std(0, ddof=1)),
    ):
        assert mine == pytest.approx(theirs, rel=1e-12)


def test_shows_what_each_layer_looks_at():
    model, params = made("banded")
    maps = model.attention(params, values(2, 9, 3))
    assert maps.shape == (2, 2, 2, 9, 9)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, 2, 9))
    allowed = nn.causal_mask(9, window=3)
    assert torch.equal(maps > 0, allowed.expand_as(maps))


def test_attention_may_begin_at_nothing():
    x = values(2, 9, 3)
    model = models.causal_transformer(3, **SMALL, positions="rotary", attention_scale=0.0)
    params = model.init(KEY)
    alone = model.apply(params, x[:, 4:5])  # without a past, for nothing is taken from it
    torch.testing.assert_close(model.apply(params, x)[:, 4:5], alone, rtol=0, atol=1e-14)
    full = models.causal_transformer(3, **SMALL, positions="rotary").init(KEY)
    projection = [one["stack"]["layers"][0]["self_attn"]["out_proj"]["weight"] for one in (params, full)]
    assert float(projection[0].abs().max()) == 0 < float(projection[1].abs().max())


def test_weights_of_the_embedding_and_the_networks_are_drawn_as_told():
    how = {**SMALL, "gated": True, "weight_init": nn.initializers.constant(0.5)}
    params = models.causal_transformer(3, **how).init(KEY)
    told = {
        path
        for path, leaf in zip(tree.paths(params), tree.leaves(params), strict=True)
        if bool((leaf == 0.5).all())
    }
    layers = [f"['stack']['layers'][{number}]" for number in (0, 1)]
    names = {f"{layer}['{name}']['weight']" for layer in layers for name in ("linear1", "gate", "linear2")}
    assert told == {"['embed']['weight']", *names}


def test_a_band_has_no_end():
    model, params = made("banded")
    x = values(1, 40, 3)
    assert (model.context, model.window) == (None, 3)
    late = model.apply(params, x[:, 20:])
    # Two layers that look three states back each: from the seventh on nothing before the cut is seen.
    torch.testing.assert_close(model.apply(params, x)[:, 26:], late[:, 6:], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: models.causal_transformer(3, width=8, heads=3),
            "heads must divide the width 8. Got heads=3.",
        ),
        (lambda: models.causal_transformer(0), "features must be at least 1. Got features=0."),
        (lambda: models.causal_transformer(3, context=0), "context must be at least 1. Got context=0."),
        (
            lambda: models.causal_transformer(3, window=4),
            "positions must be 'rotary' where there is a window: the others end with the context. "
            "Got positions='learned'. Try positions='rotary'.",
        ),
        (
            lambda: models.causal_transformer(3, positions="absolute"),
            "positions must be one of 'learned', 'sinusoidal', 'rotary'. Got positions='absolute'.",
        ),
        (
            lambda: models.causal_transformer(2, scaling=SCALING),
            "scaling.mean must have 2 entries, one for each feature.",
        ),
        (
            lambda: models.causal_transformer(3, scaling=SCALING._replace(std=(1.0, 0.0, 1.0))),
            "scaling.std[1] must be positive. Got scaling.std[1]=0.0.",
        ),
        (
            lambda: made("learned")[0].apply(made("learned")[1], torch.zeros(2, 10, 3)),
            "x must have at most 9 states, the model's context. Got 10, shape (2, 10, 3). Cut it, x[..., -9:",
        ),
        (
            lambda: made("learned")[0].apply(made("learned")[1], torch.zeros(2, 9, 4)),
            "x must have the shape (..., time, 3) with one time at least. Got shape (2, 9, 4).",
        ),
        (
            lambda: made("learned")[0].apply(made("learned")[1], torch.zeros(2, 0, 3)),
            "x must have the shape (..., time, 3) with one time at least. Got shape (2, 0, 3).",
        ),
        (
            lambda: models.Scaling.of(torch.zeros(2, 3)),
            "series must have the shape (time, features) with three times at least. Got shape (2, 3).",
        ),
        (
            lambda: models.Scaling.of(torch.arange(6.0).reshape(6, 1)),
            "series must change in every feature. Got one in which feature 0 does not",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
