"""Networks of trial functions: linear in the last layer, periodic where asked, drawn to resolve a domain."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import vmap

from funcsci import nn, random, tree
from funcsci.autodiff import partials
from funcsci.nn import ACTIVATIONS
from funcsci.pinn.network import (
    LAYER_SHARE,
    Focus,
    NetworkSettings,
    check_settings,
    distances,
    network,
    shares,
    sparse,
    spread,
)

KINDS = {
    "tanh": NetworkSettings((6, 5)),
    "sine": NetworkSettings((6, 5), "siren"),
    "fourier": NetworkSettings((6, 5), fourier_features=4, fourier_scale=2.0),
    "periodic": NetworkSettings((6, 5), harmonics=3),
    "both": NetworkSettings((6,), "siren", harmonics=2),
}
PERIODIC = {"periodic": (0,), "both": (1,)}


@pytest.mark.parametrize("name", KINDS)
def test_is_linear_in_its_last_layer(name: str) -> None:
    made = network(KINDS[name], 2, 3, PERIODIC.get(name, ()))
    params = made.init(random.key(0), dtype=torch.float64)
    s = torch.tensor([0.3, -0.6], dtype=torch.float64)
    seen, last = made.features(params, s), params["layers"][-1]
    assert seen.shape == (KINDS[name].hidden[-1] + 1,) and float(seen[-1]) == 1.0
    matrix = torch.cat([last["weight"], last["bias"][:, None]], 1)
    torch.testing.assert_close(made.apply(params, s), matrix @ seen, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", KINDS)
def test_is_the_same_for_a_key_on_every_dtype_and_device(name: str) -> None:
    made = network(KINDS[name], 2, 3, PERIODIC.get(name, ()))
    one, same, other = (made.init(random.key(seed), dtype=torch.float64) for seed in (0, 0, 1))
    assert tree.allclose(one, same, rtol=0, atol=0) and not tree.allclose(one, other)
    single = made.init(random.key(0), dtype=torch.float32)
    assert made.apply(single, torch.zeros(2, dtype=torch.float32)).dtype == torch.float32
    meta = made.init(random.key(0).to("meta"), dtype=torch.float32)
    assert {leaf.device.type for leaf in tree.leaves(meta)} == {"meta"}
    assert made.apply(meta, torch.empty(2, device="meta")).shape == (3,)


def test_layers_are_those_of_nn() -> None:
    s = torch.tensor([0.3, -0.6], dtype=torch.float64)
    for activation in ("tanh", "sin"):
        made = network(NetworkSettings((6, 5), activation), 2, 1)
        params = made.init(random.key(0), dtype=torch.float64)
        expected = nn.mlp((2, 6, 5, 1), activation=ACTIVATIONS[activation]).apply(params, s)
        torch.testing.assert_close(made.apply(params, s), expected, atol=1e-15, rtol=0)
    made = network(NetworkSettings((6, 5), "siren"), 2, 1)
    params = made.init(random.key(0), dtype=torch.float64)
    expected = nn.siren((2, 6, 5, 1), omega0=10.0, omega=10.0).apply(params, s)
    torch.testing.assert_close(made.apply(params, s), expected, atol=1e-14, rtol=0)


@settings(max_examples=5)
@given(seed=st.integers(0, 1000), t=st.floats(-1, 1), harmonics=st.integers(1, 4))
def test_periodic_networks_are_periodic_with_all_derivatives(seed: int, t: float, harmonics: int) -> None:
    made = network(NetworkSettings((7,), harmonics=harmonics), 2, 2, (0,))
    params = made.init(random.key(seed), dtype=torch.float64)
    operators = (((),), ((0,),), ((0, 0),), ((0, 0, 0),), ((0, 0, 0, 0),), ((0, 1),), ((0, 0, 1, 1),))
    ends = [
        partials(lambda s: made.apply(params, s), operators)(torch.tensor([end, t], dtype=torch.float64))
        for end in (-1.0, 1.0)
    ]
    for left, right in zip(*ends, strict=True):
        assert float((left - right).abs().max()) <= 1e-11 * (1 + float(left.abs().max()))


def test_the_period_is_the_whole_domain_and_of_no_other_coordinate() -> None:
    made = network(NetworkSettings((7,)), 2, 1, (0,))
    params = made.init(random.key(0), dtype=torch.float64)
    for one, other in (([0.2, -1.0], [0.2, 1.0]), ([-0.3, 0.5], [0.7, 0.5])):
        values = [made.apply(params, torch.tensor(s, dtype=torch.float64)) for s in (one, other)]
        assert float((values[0] - values[1]).abs()) > 1e-3


def test_fourier_frequencies_have_the_scale_that_was_asked_for() -> None:
    # A scale of 3 waves over half of the domain, which has length 1 in scaled coordinates of [-1, 1].
    made = network(NetworkSettings((4,), fourier_features=4000, fourier_scale=3.0), 1, 1)
    drawn = made.init(random.key(0), dtype=torch.float64)["embeddings"][0]["frequencies"]
    # cos(2 pi B s) has B waves over s in [0, 1], half of the domain.
    assert float(drawn.std()) == pytest.approx(3.0, rel=0.05)


def hyperplanes(inputs: int, width: int = 3000, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and biases that `spread` draws."""
    layer = {"weight": torch.zeros(width, inputs), "bias": torch.zeros(width)}
    found = spread(random.key(1), layer, options.get("scales"), options.get("foci", ()))
    return found["weight"], found["bias"]


def test_features_on_a_line_have_centres_and_slopes_everywhere() -> None:
    slope, bias = hyperplanes(1)
    centre = (-bias[:, None] / slope).clamp(-10, 10)
    assert float(centre.abs().max()) <= 1 + 1e-9 and abs(float(centre.mean())) < 0.05
    assert float((centre < -0.5).double().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(slope.abs().max()) <= 2 and float(slope.abs().mean()) == pytest.approx(1.0, rel=0.05)
    assert float((slope > 0).double().mean()) == pytest.approx(0.5, abs=0.03)


def test_slopes_follow_their_scales_along_each_input() -> None:
    slope, bias = hyperplanes(2, scales=torch.tensor([10.0, 0.5]))
    assert bool((((slope / torch.tensor([10.0, 0.5])) ** 2).sum(1) <= 1 + 1e-12).all())
    share = slope[:, 0].abs().mean() / slope[:, 1].abs().mean()
    assert float(share) == pytest.approx(20.0, rel=0.1)
    # Each feature's line w.s + b = 0 goes through the square: |b| <= |w_1| + |w_2|.
    assert bool((bias.abs() <= slope.abs().sum(1) + 1e-12).all())


def test_features_of_a_transient_crowd_behind_the_start() -> None:
    start = Focus(-1.0, 1e-3)
    slope, bias = hyperplanes(1, foci=(start,))
    graded = int(LAYER_SHARE * 3000)
    distance = 1 - bias / slope[:, 0]  # of the centre from -1
    crowd, rest = distance[:graded], distance[graded:]
    assert float(crowd.min()) >= 0 and float(crowd.max()) <= 2
    assert float((crowd < 0.02).double().mean()) > 0.3  # uniform ones would be 0.01
    assert float((rest < 0.02).double().mean()) < 0.03
    assert float(slope.abs().max()) > 500  # it can follow exp(-1000 s / 2)
    torch.testing.assert_close(hyperplanes(2, foci=(start,))[0], hyperplanes(2)[0])


def test_features_crowd_on_both_sides_of_a_place_inside() -> None:
    places = (Focus(0.3, 1e-4), Focus(-0.9, 1e-2))
    slope, bias = hyperplanes(1, foci=places)
    centre, start = -bias / slope[:, 0], 0
    for focus, graded in zip(places, shares(3000, places), strict=True):
        own = centre[start : start + graded]
        start += graded
        assert float(own.abs().max()) <= 1
        close = own[(own - focus.place).abs() < 10 * focus.reach]
        assert len(close) > graded / 20
        assert float((close > focus.place).double().mean()) == pytest.approx(0.5, abs=0.15)


def test_distances_go_geometrically_down_to_the_reach() -> None:
    share = torch.linspace(0, 1, 9)
    found = distances(Focus(-1.0, 1 / 50), share)
    assert float(found[0]) == 2.0 and float(found[-1]) == pytest.approx(1 / 50)
    ratios = found[1:] / found[:-1]
    torch.testing.assert_close(ratios, torch.full_like(ratios, math.exp(-math.log(100) / 8)))


@pytest.mark.parametrize("inputs", [3, 5])
def test_sparse_features_look_at_one_two_or_all_inputs_in_turn(inputs: int) -> None:
    seen = sparse(random.key(0), 300, inputs)
    assert seen.sum(1).tolist() == [1, 2, inputs] * 100
    # None of the inputs is preferred.
    assert float(seen[::3].double().mean(0).min()) > 0.5 / inputs
    slope, _ = hyperplanes(inputs)
    assert (slope != 0).sum(1)[:6].tolist() == [1, 2, inputs, 1, 2, inputs]
    assert bool((hyperplanes(2)[0] != 0).all())


def test_a_mapped_network_is_the_network_at_each_point() -> None:
    made = network(KINDS["tanh"], 2, 1)
    params = made.init(random.key(0), dtype=torch.float64)
    points = torch.linspace(-1, 1, 8).reshape(4, 2)
    one_by_one = torch.stack([made.apply(params, s) for s in points])
    torch.testing.assert_close(vmap(lambda s: made.apply(params, s))(points), one_by_one)


def test_checked_widths_are_plain_integers() -> None:
    assert check_settings(NetworkSettings((torch.tensor([3, 4]).numpy()[0],)), ()).hidden == (3,)
    assert check_settings(NetworkSettings(()), ()).hidden == ()
