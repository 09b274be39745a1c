"""Trial functions: hard conditions hold for every parameter, features resolve where they should."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import random, tree
from funcsci.autodiff import derivative
from funcsci.pinn.problem import Oscillator
from funcsci.pinn.sampling import BLOCK, collocation, random_batches
from funcsci.pinn.trial import TRIALS, features, hard, layer_share

CPU = torch.device("cpu")
MILD = Oscillator(2.0, 0.1, -0.4, 3.0, (1.0, 4.0))
STIFF = Oscillator(10.0, 3.0, 1.0, 0.0, (0.0, 10.0))


@given(
    omega=st.floats(0, 20), u0=st.floats(-3, 3), du0=st.floats(-3, 3),
    start=st.floats(-5, 5), duration=st.floats(0.1, 50), seed=st.integers(0, 1000),
)  # fmt: skip
def test_hard_conditions_hold_for_any_parameters(omega, u0, du0, start, duration, seed) -> None:
    function = hard(Oscillator(omega, 0.0, u0, du0, (start, start + duration)), (5, 4))
    params = function.init(random.key(seed), dtype=torch.float64)
    t = torch.tensor(start)
    assert float(function.apply(params, t)) == u0
    velocity = derivative(lambda s: function.apply(params, s))(t)
    assert float(velocity) == pytest.approx(du0, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_function_is_a_scalar_function_on_every_device_and_dtype(name: str) -> None:
    function = TRIALS[name](MILD, (6, 5))
    for dtype in (torch.float32, torch.float64):
        params = function.init(random.key(0), dtype=dtype)
        value = function.apply(params, torch.tensor(2.0, dtype=dtype))
        assert value.shape == () and value.dtype == dtype
    meta = function.init(random.key(0).to("meta"), dtype=torch.float32)
    assert {leaf.device.type for leaf in tree.leaves(meta)} == {"meta"}
    assert function.apply(meta, torch.empty((), device="meta")).shape == ()


def test_features_of_a_mild_problem_are_uniform() -> None:
    assert layer_share(MILD) == 0.0
    slopes, centres = features(MILD, random.key(3), 4000, torch.float64)
    assert centres.abs().max() <= 1 and abs(float(centres.mean())) < 0.05
    assert slopes.abs().max() <= 500 and float(slopes.abs().mean()) == pytest.approx(250, rel=0.05)


def test_features_of_a_stiff_problem_crowd_behind_the_start() -> None:
    share = layer_share(STIFF)
    assert share == 0.25
    _, centres = features(STIFF, random.key(3), 4000, torch.float64)
    assert float((centres < -0.95).double().mean()) > 0.1  # uniform ones would be 0.025
    points = collocation(STIFF, 400, dtype=torch.float64, device=CPU)
    # The fastest transient has length 1/58; its layer must hold points.
    assert int((points < 1 / 58).sum()) >= 10


@pytest.mark.parametrize("problem", [MILD, STIFF])
@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_collocation_points_are_distinct_and_inside(problem: Oscillator, count: int) -> None:
    points = collocation(problem, count, dtype=torch.float64, device=CPU)
    assert points.shape == (count,) and len(points.unique()) == count
    assert points.min() >= problem.t_span[0] and points.max() <= problem.t_span[1]


def test_random_batches_are_new_inside_and_the_same_for_the_same_key() -> None:
    def draw(seed: int) -> torch.Tensor:
        batches = random_batches(MILD, random.key(seed), 16, dtype=torch.float32)
        return torch.stack([next(batches) for _ in range(BLOCK + 3)])

    first = draw(0)
    assert torch.equal(first, draw(0)) and not torch.equal(first, draw(1))
    assert len(first.unique()) > 0.99 * first.numel()
    assert first.min() >= 1.0 and first.max() <= 4.0 and first.dtype == torch.float32
