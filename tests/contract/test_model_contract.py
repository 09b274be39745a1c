"""What every registered model keeps: shapes on meta, ensembles, pure and compiled steps."""

import pytest
import torch

from funcsci import nn, optim, random, train, tree
from funcsci.compile import jit
from funcsci.models import MODELS

KEY = random.key(12)
BACKENDS = ["trace", pytest.param("compile", marks=pytest.mark.slow)]


def made(name: str, batch: int = 3):
    model = nn.stateful(MODELS[name].make())
    return model, random.uniform(KEY, (batch, *MODELS[name].sample))


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_known_without_numbers(name):
    model, x = made(name)
    params, state = model.init(KEY)
    y, after = model.apply(params, state, x, train=True)
    abstract = model.init(KEY, device="meta")
    found, _ = model.apply(*abstract, x.to("meta"), train=True)
    assert found.shape == y.shape and found.is_meta
    shapes = [leaf.shape for leaf in tree.leaves((params, state))]
    assert shapes == [leaf.shape for leaf in tree.leaves(abstract)]
    assert [leaf.shape for leaf in tree.leaves(after)] == [leaf.shape for leaf in tree.leaves(state)]
    assert {leaf.dtype for leaf in tree.leaves(model.init(KEY, dtype=torch.float32)[0])} == {torch.float32}


@pytest.mark.parametrize("name", MODELS)
def test_an_ensemble_by_vmap_equals_its_members(name):
    model, x = made(name)
    keys = random.split(KEY, 2)
    params, state = torch.func.vmap(model.init)(keys)

    def apply(params, state):
        return model.apply(params, state, x, train=True)

    mapped = torch.func.vmap(apply)(params, state)
    looped = tree.stack([apply(*model.init(key)) for key in keys])
    assert tree.allclose(mapped, looped, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_by_sample_equal_a_loop(name):
    """In evaluation, where samples do not meet: each of them a batch of one under vmap."""
    model, x = made(name)
    params, state = model.init(KEY)

    def loss(params, sample):
        y, _ = model.apply(params, state, sample[None], train=False)
        return (y**2).sum()

    mapped = torch.func.vmap(torch.func.grad(loss), (None, 0))(params, x)
    looped = tree.stack([torch.func.grad(loss)(params, sample) for sample in x])
    assert tree.allclose(mapped, looped, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MODELS)
def test_a_step_in_one_program_equals_the_eager_one_and_changes_nothing(name, backend):
    model, x = made(name)

    def loss(params, x, *, state):
        y, state = model.apply(params, state, x, train=True)
        return (y**2).mean(), (state, {})

    optimizer = optim.adam(1e-3, eps=1e-3)  # a gradient that is round-off stays round-off
    step = train.train_step(loss, optimizer)
    params, state = model.init(KEY)
    now = train.start(params, optimizer, state=state)
    before = tree.map(torch.clone, (now, x))
    expected = step(now, x)
    found = jit(step, backend=backend)(now, x)
    assert tree.allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert tree.allclose((now, x), before, rtol=0, atol=0)
