"""The transformer for operators: what it is made of, its symmetry, its weights, what it can learn."""

import re

import pytest
import torch

from funcsci import data, nn, optim, random, train, tree
from funcsci.models import operator_transformer

KEY = random.key(82)
SMALL = {"points": 8, "width": 4, "heads": 2, "layers": 2}


def by_hand(params, u, heads):
    """The output and the weights of every layer, by loops over heads and points."""
    points = u.shape[-1]
    x = torch.nn.functional.linear(
        torch.stack([u.roll(-place, -1) for place in range(points)], -2), **params["embed"]
    )
    maps = []
    for layer in params["layers"]:
        parts = torch.nn.functional.linear(x, **layer["project"]).chunk(3, -1)
        found, weights = [], []
        for head in range(heads):
            query, key, value = (part.chunk(heads, -1)[head] for part in parts)
            scores = query @ key.mT / query.shape[-1] ** 0.5
            for row in range(points):
                for column in range(points):
                    scores[..., row, column] += layer["nearness"][head, (column - row) % points]
            weights.append(torch.softmax(scores, -1))
            found.append(weights[-1] @ value)
        maps.append(torch.stack(weights, -3))
        x = x + torch.nn.functional.linear(torch.cat(found, -1), **layer["out"])
    return torch.nn.functional.linear(x, **params["head"]).squeeze(-1), maps


def test_it_is_attention_on_the_function_as_seen_from_each_point():
    model = operator_transformer(**SMALL)
    params = model.init(KEY)
    # Numbers that tell one way around from the other, as those at first do not.
    layers = [{**one, "nearness": random.normal(KEY, (2, 8))} for one in params["layers"]]
    params = {**params, "layers": layers}
    u = random.normal(random.key(1), (3, 2, 8))
    expected, weights = by_hand(params, u, 2)
    close = {"rtol": 0, "atol": 1e-13}
    torch.testing.assert_close(model.apply(params, u), expected, **close)
    found = model.attention(params, u)
    assert [one.shape for one in found] == [(3, 2, 2, 8, 8)] * 2
    torch.testing.assert_close(found, weights, **close)


def test_the_first_head_looks_nearest_at_first():
    model = operator_transformer(8, 8, 4, 1)
    params = model.init(KEY)
    (weights,) = model.attention(params, torch.zeros(8))
    share = weights.diagonal(dim1=-2, dim2=-1).mean(-1)
    assert bool((share.diff() < 0).all()) and float(share[-1]) == pytest.approx(1 / 8, rel=0.1)


def test_it_can_hold_the_solution_of_cole_and_hopf():
    """u(x, t) is the mean of u0(y) with weights exp(-U(y) / 2ν) G(x - y), U the integral of u0 and G the heat
    kernel: one head whose keys are U, and whose nearness is log G; to the error of sums over 64 points."""
    points, viscosity = 64, 0.05
    model = operator_transformer(points, 3, 1, 1)
    wave = torch.fft.fftfreq(points, 1 / points)
    safe = torch.where(wave == 0, 1.0, wave)
    # The weight of u at each way around in the integral, and the kernel at time 1.
    integral = torch.fft.ifft(torch.where(wave.abs() % 32 == 0, 0.0, 1 / (2j * torch.pi * safe))).real
    kernel = torch.fft.ifft(torch.exp(-viscosity * (2 * torch.pi * wave) ** 2)).real
    embed = torch.zeros(3, points)
    embed[0, 0], embed[1] = 1.0, integral.flip(0).roll(1)
    project, out = torch.zeros(9, 3), torch.zeros(3, 3)
    project[3, 1], project[6, 0], out[2, 0] = -1 / (2 * viscosity) * 3**0.5, 1.0, 1.0
    params = {
        "embed": {"weight": embed, "bias": torch.zeros(3)},
        "layers": [
            {
                "project": {"weight": project, "bias": torch.eye(9)[0]},
                "out": {"weight": out, "bias": torch.zeros(3)},
                "nearness": kernel.log()[None],
            }
        ],
        "head": {"weight": torch.tensor([[0.0, 0.0, 1.0]]), "bias": torch.zeros(1)},
    }
    u = data.gaussian_random_field(KEY, 4, points)
    expected = data.burgers_solution(u, viscosity=viscosity, progress_bar=False)
    torch.testing.assert_close(model.apply(params, u), expected, rtol=0, atol=1e-7)


def test_a_shift_goes_through_it_and_through_its_attention():
    model = operator_transformer()
    params = model.init(KEY)
    u = random.normal(random.key(2), (2, 64))
    v, shifted = (model.apply(params, one) for one in (u, u.roll(3, -1)))
    torch.testing.assert_close(shifted, v.roll(3, -1), rtol=0, atol=1e-13)
    assert float((v - v.mean(-1, keepdim=True)).abs().max()) > 0.01
    pairs = zip(model.attention(params, u), model.attention(params, u.roll(3, -1)), strict=True)
    for weights, moved in pairs:
        torch.testing.assert_close(moved, weights.roll((3, 3), (-2, -1)), rtol=0, atol=1e-13)


def test_its_model_is_the_same_function():
    made = operator_transformer(**SMALL)
    params = made.model.init(KEY)
    assert tree.allclose(params, made.init(KEY), rtol=0, atol=0)
    u = random.normal(random.key(4), (8,))
    assert torch.equal(made.model.apply(params, u), made.apply(params, u))
    assert made.apply(params, u).shape == (8,)


def test_it_learns_what_heat_does_to_functions():
    """A linear operator with its closed form: waves that decay each at its rate."""
    model = operator_transformer(**SMALL | {"width": 8})
    u = data.gaussian_random_field(KEY, 64, 8)
    number = torch.arange(5)
    heated = torch.fft.irfft(torch.fft.rfft(u) * torch.exp(-0.2 * number**2), n=8)

    def loss(params):
        return nn.relative_l2(model.apply(params, u), heated)

    result = train.fit(
        loss, model.init(KEY), optim.soap(optim.one_cycle(2e-2, 80)), steps=80, progress_bar=False
    )
    other = data.gaussian_random_field(random.key(5), 64, 8)
    expected = torch.fft.irfft(torch.fft.rfft(other) * torch.exp(-0.2 * number**2), n=8)
    assert float(nn.relative_l2(model.apply(result.params, other), expected)) < 0.15


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"points": 0}, "points must be at least 1. Got points=0."),
        ({"layers": 0}, "layers must be at least 1. Got layers=0."),
        ({"width": 9, "heads": 4}, "heads must divide the width 9. Got heads=4. Try heads=3."),
        ({"heads": 0}, "heads must be at least 1. Got heads=0."),
    ],
)
def test_wrong_sizes_are_named(sizes, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        operator_transformer(**sizes)


@pytest.mark.wrong_types
def test_another_number_of_points_or_layers_is_named():
    model = operator_transformer(**SMALL)
    params = model.init(KEY)
    must = "u must have 8 points in its last dimension."
    for u in (torch.zeros(3, 9), torch.zeros(())):
        with pytest.raises(ValueError, match=re.escape(f"{must} Got u of shape {tuple(u.shape)}.")):
            model.apply(params, u)
        with pytest.raises(ValueError, match=re.escape(must)):
            model.attention(params, u)
    with pytest.raises(ValueError, match="must have 2 entries, one per layer. Got 1."):
        model.apply({**params, "layers": params["layers"][:1]}, torch.zeros(8))


@pytest.mark.wrong_types
def test_a_list_is_no_function():
    model = operator_transformer(**SMALL)
    with pytest.raises(TypeError, match=re.escape("u must be a tensor. Got u=[0.0].")):
        model.apply(model.init(KEY), [0.0])
