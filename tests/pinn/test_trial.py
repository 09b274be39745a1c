"""Trial functions: hard conditions hold for every parameter, also after a stage that corrects."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from funcsci import pinn, random, tree
from funcsci.autodiff import derivative, partial
from funcsci.pinn.network import Focus, NetworkSettings
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task
from funcsci.pinn.trial import Trial

SHAPE = NetworkSettings((6, 5))


def trial_of(problem: pinn.Problem, shape: NetworkSettings = SHAPE, **options) -> Trial:
    return make_task(problem, Settings(random.key(0), derivatives="nested"), shape, **options).trial


def heat() -> pinn.Problem:
    return pinn.pde(
        lambda u: u.t - u.xx,
        {"x": (-1.0, 2.0), "t": (0.0, 0.5)},
        [
            pinn.initial(lambda x: torch.cos(x)),
            pinn.dirichlet("x", math.cos(1.0), side="lower"),
            pinn.dirichlet("x", lambda t: math.cos(2.0) + t, side="upper"),
        ],
    )


@examples(max_examples=12)
@given(
    omega=st.floats(0, 20), u0=st.floats(-3, 3), du0=st.floats(-3, 3),
    start=st.floats(-5, 5), duration=st.floats(0.1, 50), seed=st.integers(0, 1000),
)  # fmt: skip
def test_hard_conditions_hold_for_any_parameters(omega, u0, du0, start, duration, seed) -> None:
    problem = pinn.ode(lambda u: u.tt + omega**2 * torch.sin(u), (start, start + duration), u0, du0)
    trial = trial_of(problem)
    params = trial.init(random.key(seed), dtype=torch.float64)
    t = torch.tensor(start, dtype=torch.float64)
    assert float(trial.apply(params, t[None])) == u0
    velocity = derivative(lambda s: trial.apply(params, s[None])[0])(t)
    assert float(velocity) == pytest.approx(du0, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("amplitude", [1.0, 1e-5])
def test_a_stage_corrects_another_and_keeps_its_conditions(amplitude: float) -> None:
    first = trial_of(heat())
    one, two = (first.init(random.key(seed), dtype=torch.float64) for seed in (0, 1))

    def before(x):
        return first.apply(one, x)

    second = trial_of(heat(), before=before, amplitude=(amplitude,))
    x = torch.tensor([0.4, 0.3], dtype=torch.float64)
    none = tree.map(torch.zeros_like, two)
    assert torch.equal(second.apply(none, x), before(x))
    change = second.apply(two, x) - before(x)
    expected = amplitude * (first.apply(two, x) - first.known(x))
    torch.testing.assert_close(change, expected, rtol=1e-9, atol=1e-16)
    for place, value in (
        ([0.7, 0.0], math.cos(0.7)),
        ([-1.0, 0.2], math.cos(1)),
        ([2.0, 0.2], math.cos(2) + 0.2),
    ):
        found = second.apply(two, torch.tensor(place, dtype=torch.float64))
        assert float(found) == pytest.approx(value, abs=1e-14)


def test_is_what_is_known_and_a_basis_times_weights() -> None:
    problem = pinn.ode(lambda u, v: (u.tt - v, v.t + u), (0.0, 2.0), {"u": 1.0, "v": -2.0}, {"u": 3.0})
    trial = trial_of(problem)
    params = trial.init(random.key(0), dtype=torch.float64)
    x, last = torch.tensor([1.3], dtype=torch.float64), params["layers"][-1]
    weights = torch.cat([last["weight"], last["bias"][:, None]], 1)
    values = trial.known(x) + (trial.basis(params, x) * weights).sum(1)
    assert trial.basis(params, x).shape == (2, 6)
    torch.testing.assert_close(values, trial.apply(params, x), rtol=1e-14, atol=1e-14)


def test_each_field_has_its_own_conditions() -> None:
    trial = trial_of(
        pinn.ode(lambda u, v: (u.tt - v, v.t + u), (0.5, 2.0), {"v": -2.0, "u": 1.0}, {"u": 3.0})
    )
    params = trial.init(random.key(4), dtype=torch.float64)
    start = torch.tensor([0.5], dtype=torch.float64)
    assert trial.apply(params, start).tolist() == [1.0, -2.0]
    slopes = [float(partial(lambda x, i=i: trial.apply(params, x)[i], (0,))(start)) for i in range(2)]
    assert slopes[0] == pytest.approx(3.0, rel=1e-14) and abs(slopes[1]) > 1e-6


def test_a_field_without_conditions_is_the_network() -> None:
    problem = pinn.pde(lambda u: u.xx - u, {"x": (0.0, 1.0)}, [], well_posed=False)
    trial = trial_of(problem)
    params = trial.init(random.key(0), dtype=torch.float64)
    x = torch.tensor([0.3], dtype=torch.float64)
    assert torch.equal(trial.apply(params, x), trial.network.apply(params, 2 * x - 1))


@pytest.mark.parametrize("problem", [heat(), pinn.ode(lambda u: u.tt + u, (0.0, 1.0), 1.0, 0.0)])
def test_is_a_function_of_a_point_on_every_device_and_dtype(problem: pinn.Problem) -> None:
    trial = trial_of(problem)
    for dtype in (torch.float32, torch.float64):
        params = trial.init(random.key(0), dtype=dtype)
        value = trial.apply(params, torch.zeros(problem.domain.dimensions, dtype=dtype))
        assert value.shape == (1,) and value.dtype == dtype
    meta = trial.init(random.key(0).to("meta"), dtype=torch.float32)
    assert {leaf.device.type for leaf in tree.leaves(meta)} == {"meta"}
    assert trial.apply(meta, torch.empty(problem.domain.dimensions, device="meta")).shape == (1,)


def test_a_fast_transient_is_told_to_the_network() -> None:
    wide = NetworkSettings((100,))
    stiff = trial_of(pinn.ode(lambda u: u.t + 500 * u, (0.0, 2.0), 1.0), wide)
    assert stiff.foci == (Focus(-1.0, pytest.approx(1e-3)),)
    slopes = stiff.init(random.key(0), dtype=torch.float64)["layers"][0]["weight"].abs()
    mild = trial_of(pinn.ode(lambda u: u.t + u, (0.0, 2.0), 1.0), wide)
    assert mild.foci == ()
    calm = mild.init(random.key(0), dtype=torch.float64)["layers"][0]["weight"].abs()
    assert float(slopes.max()) > 10 * float(calm.max())
