"""Generation: what a loop over the whole history gives, by memory or by windows, in one program."""

import re

import pytest
import torch

from funcsci import models, random, tree
from funcsci.compile import compilations
from funcsci.nn import Model

KEY = random.key(93)
SMALL = {"width": 8, "heads": 2, "layers": 2, "hidden": 12, "context": 8}
BACKENDS = ["trace", pytest.param("compile", marks=pytest.mark.slow)]
GLOBAL = models.causal_transformer(3, **SMALL)
BANDED = models.causal_transformer(3, **SMALL, positions="rotary", window=5)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(90 + seed), shape)


def by_hand(apply, seeds: torch.Tensor, n: int, context: int) -> torch.Tensor:
    """The loop as one says it: the model on all that it may see, anew for each state."""
    series = seeds
    for _ in range(n):
        series = torch.cat([series, apply(series[:, -context:])[:, -1:]], 1)
    return series[:, seeds.shape[1] :]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_memory_of_a_band_equals_working_through_the_whole_history(backend):
    params = BANDED.init(KEY)
    seeds = values(2, 6, 3)
    found = models.generate(BANDED, params, seeds, 500, backend=backend, progress_bar=False)
    whole = torch.cat([seeds, found], 1)
    torch.testing.assert_close(BANDED.apply(params, whole)[:, 5:-1], found, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("begin", "backend"),
    [*((begin, "trace") for begin in (1, 5, 8, 11)), pytest.param(5, "compile", marks=pytest.mark.slow)],
)
def test_a_context_is_remembered_until_it_is_full_and_then_worked_through(begin, backend):
    params = GLOBAL.init(KEY)
    seeds = values(2, begin, 3)
    found = models.generate(GLOBAL, params, seeds, 30, backend=backend, progress_bar=False)
    expected = by_hand(lambda x: GLOBAL.apply(params, x), seeds, 30, 8)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_rolling_the_memory_of_a_full_context_would_be_another_function():
    """After the first state leaves, what is kept of the others still tells of it."""
    x = values(1, 9, 3)
    rotary = models.causal_transformer(3, **SMALL, positions="rotary")
    params = rotary.init(KEY)
    _, past = rotary.extend(params, x[:, :8], rotary.start(params, (1,)))
    rolled = rotary.extend(params, x[:, 8:], past)[0]
    anew = rotary.apply(params, x[:, 1:])[:, -1:]
    assert float((rolled - anew).abs().max()) > 1e-3


@pytest.mark.parametrize("many", [True, False])
def test_any_model_of_windows_goes_on(many):
    """One that gives the next state of each, or that of the last alone: here a linear recurrence."""

    def apply(params, x):
        return params * (x[:, 1:] - x[:, :-1]) + x[:, 1:] if many else 2 * x[:, -1] - x[:, -2]

    seeds = torch.tensor([[[0.0], [1.0]], [[5.0], [3.0]]])
    found = models.generate(Model(lambda key: None, apply), torch.ones(()), seeds, 4, progress_bar=False)
    assert torch.equal(found[..., 0], torch.tensor([[2.0, 3, 4, 5], [1.0, -1, -3, -5]]))


@pytest.mark.parametrize(("model", "begin", "programs"), [(BANDED, 6, 2), (GLOBAL, 9, 1), (GLOBAL, 5, 3)])
def test_one_step_is_one_program_for_all_states_and_all_calls(model, begin, programs):
    """Besides it there is one for the seeds, and where the context fills up one for the windows."""
    fresh = model._replace(
        init=lambda *args, **kwargs: model.init(*args, **kwargs)
    )  # a model not seen before
    params = fresh.init(KEY)
    for seeds in (values(2, begin, 3), values(2, begin, 3, seed=1)):
        before = seeds.clone()
        with compilations() as made:
            models.generate(fresh, params, seeds, 20, backend="trace", progress_bar=False)
        assert len(made) == programs
        assert torch.equal(seeds, before)
        programs = 0


@pytest.mark.parametrize("model", [BANDED, GLOBAL])
def test_generated_states_have_gradients(model):
    """For a loss of several steps: those of the loop, by the parameters and by the seeds, in both styles."""
    params, seeds = model.init(KEY), values(2, 6, 3)

    def ours(params, seeds):
        return models.generate(model, params, seeds, 5, progress_bar=False).sin().sum()

    def loop(params, seeds):
        return by_hand(lambda x: model.apply(params, x), seeds, 5, model.context or 11).sin().sum()

    found, expected = (torch.func.grad(one, argnums=(0, 1))(params, seeds) for one in (ours, loop))
    assert tree.allclose(found, expected, rtol=1e-11, atol=1e-12)
    leaf = seeds.clone().requires_grad_()
    ours(params, leaf).backward()
    torch.testing.assert_close(leaf.grad, expected[1], rtol=1e-11, atol=1e-12)


def test_a_series_that_leaves_all_bounds_goes_on():
    model = Model(lambda key: None, lambda params, x: 1e200 * x)
    found = models.generate(model, torch.ones(()), torch.ones(1, 1, 1), 3, progress_bar=False)
    assert found.flatten().tolist() == [1e200, torch.inf, torch.inf]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: models.generate(GLOBAL, {}, torch.zeros(5, 3), 3),
            ValueError,
            "seeds must have the shape (batch, time, features), none of them 0. Got shape (5, 3). "
            "One series is a batch too: seeds[None].",
        ),
        (lambda: models.generate(GLOBAL, {}, torch.zeros(1, 0, 3), 3), ValueError, "Got shape (1, 0, 3)."),
        (lambda: models.generate(GLOBAL, {}, torch.zeros(1, 2, 3), 0), ValueError, "n must be at least 1."),
        (
            lambda: models.generate(GLOBAL, GLOBAL.init(KEY), torch.zeros(1, 2, 4), 3),
            ValueError,
            "x must have the shape (..., time, 3)",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.wrong_types
def test_only_models_generate():
    message = "model must be a Model or a CausalTransformer. Got model='x'."
    with pytest.raises(TypeError, match=re.escape(message)):
        models.generate("x", {}, torch.zeros(1, 2, 3), 3)
