"""Options of a solve: what is none of them is refused, with the nearest one."""

import re

import pytest
import torch

from funcsci import pinn
from funcsci.pinn import Solution
from funcsci.pinn.methods import METHODS


def decay(**options) -> Solution:
    return pinn.solve_ode(lambda u: u.t + u, (0.0, 1.0), 1.0, progress=False, **options)


def refused(kind: type[Exception], story: str, call) -> None:
    """The call raises, and its message has these words in order."""
    with pytest.raises(kind, match=re.compile(story, re.DOTALL)):
        call()


OPTIONS = {
    "method": (
        ValueError,
        "method must be one of .*'adam'.*Got method='adm'. Did you mean 'adam'",
        {"method": "adm"},
    ),
    "methods": (ValueError, "method must be one of .*Got method='sgd'", {"method": ["adam", "sgd"]}),
    "no method": (ValueError, "method must name a method", {"method": ()}),
    "kind of method": (TypeError, "method must be a name, or several", {"method": 3}),
    "steps": (ValueError, "steps must be at least 0", {"steps": -1}),
    "kind of steps": (TypeError, "steps must be an integer", {"steps": 2.5}),
    "number of steps": (
        ValueError,
        "steps must be one number, or one for each of 2",
        {"method": ["adam", "lbfgs"], "steps": [1]},
    ),
    "hidden": (ValueError, "hidden must hold positive widths", {"hidden": (32, 0)}),
    "kind of hidden": (TypeError, "hidden must be a sequence of widths", {"hidden": 32}),
    "activation": (ValueError, "activation must be one of .*Did you mean 'tanh'", {"activation": "tanhh"}),
    "frequencies": (ValueError, "fourier_features must be at least 0", {"fourier_features": -1}),
    "frequencies of a sine network": (
        ValueError,
        "fourier_features must be 0 for a network of sines",
        {"activation": "siren", "fourier_features": 2},
    ),
    "scale": (ValueError, "fourier_scale must be positive", {"fourier_scale": 0.0}),
    "scale of no frequencies": (
        ValueError,
        "fourier_scale must be left out where there are no Fourier features",
        {"fourier_scale": 2.0},
    ),
    "harmonics": (ValueError, "harmonics must be at least 1", {"harmonics": 0}),
    "harmonics of no period": (
        ValueError,
        "harmonics must be 1 where no coordinate is periodic",
        {"harmonics": 2},
    ),
    "points": (ValueError, "points must be at least 1", {"points": 0}),
    "sampling": (
        ValueError,
        "sampling must be one of .*'sobol'.*Got sampling='sobl'. Did you mean 'sobol'",
        {"sampling": "sobl"},
    ),
    "tol": (ValueError, "tol must be positive", {"tol": 0.0}),
    "derivatives": (ValueError, "derivatives must be one of 'taylor', 'nested'", {"derivatives": "finite"}),
    "slabs": (ValueError, "slabs must be at least 1", {"slabs": 0}),
    "stages": (ValueError, "stages must be at least 1", {"stages": 0}),
    "causal": (ValueError, "causal must not be negative", {"causal": -1.0}),
    "causal method": (
        ValueError,
        "causal must be 0 for other methods than adam, soap",
        {"causal": 1.0, "method": "lbfgs"},
    ),
    "start": (TypeError, "start must be a Solution", {"start": 3}),
    "seed": (TypeError, "seed must be an integer", {"seed": 0.5}),
    "dtype": (ValueError, "dtype must be torch.float32 or torch.float64", {"dtype": torch.float16}),
    "device": (ValueError, "device must name a device", {"device": "abacus"}),
    "backend": (ValueError, "backend must be one of", {"backend": "jit"}),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_are_none_are_refused(name: str) -> None:
    kind, story, options = OPTIONS[name]
    refused(kind, story, lambda: decay(**options))


@pytest.mark.wrong_types
def test_what_is_no_problem_is_refused() -> None:
    refused(
        TypeError, r"problem must be a Problem\. Got .*Make one by pinn\.ode", lambda: pinn.solve("u.t + u")
    )


def test_slabs_need_a_start() -> None:
    problem = pinn.ode(lambda u: u.xx, (0.0, 1.0), coordinate="x", conditions=[pinn.dirichlet("x", 0.0)])
    story = "slabs must be 1 for a problem without built-in initial conditions"
    refused(ValueError, story, lambda: pinn.solve(problem, slabs=2, progress=False))


def test_a_start_must_be_of_the_same_fields_and_one_network() -> None:
    one, several = decay(), decay(slabs=2)
    other = pinn.ode(lambda v: v.t + v, (0.0, 1.0), 1.0)
    refused(
        ValueError,
        "start must be of the same fields and coordinates",
        lambda: pinn.solve(other, start=one, progress=False),
    )
    refused(ValueError, "start must be one network", lambda: decay(start=several))


HEAT = {"x": (0.0, 1.0), "t": (0.0, 0.2)}
KINDS = {
    "activation": ({"activation": "sin"}, "activation='sin', where 'tanh' is asked for"),
    "widths": ({"hidden": (7,)}, "hidden=(7,), where (8,) is asked for"),
    "frequencies": ({"fourier_features": 3}, "fourier_features=3, where 0 is asked for"),
    "sine network": ({"activation": "siren"}, "activation='siren', where 'tanh' is asked for"),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_start_of_another_kind_is_refused_by_every_method(kind) -> None:
    start = decay(**{"hidden": (8,), "method": "random_features", "tol": 10.0, **kind[0]})
    story = f"start must hold a network of the kind that is asked for. Got one with {kind[1]}"
    for method in METHODS:
        refused(
            ValueError,
            re.escape(story),
            lambda method=method: decay(hidden=(8,), method=method, start=start, steps=1),
        )


def heat(*conditions) -> pinn.Problem:
    first = pinn.initial(lambda x: torch.sin(2 * torch.pi * x))
    return pinn.pde(lambda u: u.t - 0.1 * u.xx, HEAT, [first, *conditions])


def test_a_start_that_sees_another_point_is_refused_by_every_method() -> None:
    options = {"hidden": (8,), "progress": False, "tol": 10.0}
    edges, periodic = heat(pinn.dirichlet("x", 0.0)), heat(pinn.periodic("x"))
    for first, second, more, story in (
        (edges, periodic, {}, "periodic in (), where ('x',) is asked for"),
        (periodic, edges, {}, "periodic in ('x',), where () is asked for"),
        (periodic, periodic, {"harmonics": 2}, "harmonics=2, where 1 is asked for"),
    ):
        start = pinn.solve(first, method="random_features", **options, **more)
        for method in (None, *METHODS):
            refused(
                ValueError,
                re.escape(f"start must hold a network of the kind that is asked for. Got one with {story}"),
                lambda second=second, start=start, method=method: pinn.solve(
                    second, start=start, method=method, **options
                ),
            )


@pytest.mark.filterwarnings("ignore:solve did not converge:RuntimeWarning")
def test_a_start_may_have_other_conditions_and_another_dtype() -> None:
    options = {"hidden": (8,), "progress": False, "tol": 10.0}
    start = pinn.solve(
        heat(pinn.dirichlet("x", 0.0)), method="random_features", dtype=torch.float32, **options
    )
    other = heat(pinn.neumann("x", 0.0))
    found = pinn.solve(other, start=start, method="levenberg_marquardt", steps=0, **options)
    (theirs,), (ours,) = start.params[0], found.params[0]  # the last layer is eliminated
    for one, mine in zip(ours["layers"][0].values(), theirs["layers"][0].values(), strict=True):
        assert one.dtype == torch.float64 and torch.equal(one, mine.double())


def test_a_solve_in_slabs_has_no_start() -> None:
    start = decay(hidden=(8,))
    refused(ValueError, "slabs must be 1 where there is a start", lambda: decay(start=start, slabs=2))
