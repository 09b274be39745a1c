"""What a training step with any registered optimizer must satisfy, whatever runs it."""

import pytest
import torch
from torch.func import vmap

from funcsci import nn, optim, random, train, tree
from funcsci.compile import compilations, jit
from funcsci.optim import OPTIMIZERS

KEY = random.key(51)
MODEL = nn.mlp((2, 8, 1))
DTYPES = {"float32": torch.float32, "float64": torch.float64}

every = pytest.mark.parametrize("name", OPTIMIZERS)
in_both = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


def loss(params, batch):
    x, y = batch
    return (MODEL.apply(params, x) - y).square().mean()


def start(name, dtype=torch.float64, key=KEY):
    """A step, where it begins, and a batch."""
    optimizer = OPTIMIZERS[name](optim.cosine(0.02, 100))
    params = MODEL.init(key, dtype=dtype)
    x = random.normal(random.fold_in(KEY, 1), (16, 2)).to(dtype)
    return train.train_step(loss, optimizer), train.start(params, optimizer), (x, torch.sin(x[:, :1]))


def repeat(step, now, batch, steps=100):
    for _ in range(steps):
        now, metrics = step(now, batch)
    return now, metrics["loss"]


def assert_close(left, right, units: float = 1e3):
    for a, b in zip(tree.leaves(left), tree.leaves(right), strict=True):
        tolerance = units * torch.finfo(a.dtype).eps if a.is_floating_point() else 0
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


BACKENDS = ["trace", pytest.param("compile", marks=pytest.mark.slow)]


@every
@in_both
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_equals_eager_and_is_made_once(name, dtype, backend):
    step, now, batch = start(name, dtype)
    before = tree.map(torch.clone, (now, batch))
    compiled = jit(step, backend=backend)
    with compilations() as made:
        ours = repeat(compiled, now, batch, 20)
    assert [one.backend for one in made] == [backend]
    assert all(map(torch.equal, tree.leaves(before), tree.leaves((now, batch))))
    assert_close(ours, repeat(step, now, batch, 20))


@every
def test_a_hundred_steps_of_a_schedule_make_one_program(name):
    step, now, batch = start(name)
    with compilations() as made:
        after, value = repeat(jit(step, backend="trace"), now, batch)
    assert len(made) == 1
    assert float(value) < float(loss(now.params, batch))
    kinds = [(leaf.shape, leaf.stride(), leaf.dtype) for leaf in tree.leaves(now)]
    assert [(leaf.shape, leaf.stride(), leaf.dtype) for leaf in tree.leaves(after)] == kinds


@every
@in_both
@pytest.mark.parametrize("backend", ["trace", "eager"])
def test_inputs_are_unchanged_in_every_bit(name, dtype, backend):
    step, now, batch = start(name, dtype)
    before = tree.map(torch.clone, (now, batch))
    repeat(jit(step, backend=backend), now, batch, 2)
    assert all(map(torch.equal, tree.leaves(before), tree.leaves((now, batch))))


@every
@in_both
def test_an_ensemble_of_eight_equals_a_loop(name, dtype):
    members = [start(name, dtype, key)[1] for key in random.split(KEY, 8)]
    step, _, batch = start(name, dtype)
    together = repeat(jit(vmap(step, (0, None)), backend="trace"), tree.stack(members), batch, 10)
    apart = tree.stack([repeat(step, one, batch, 10) for one in members])
    assert_close(together, apart)


@every
def test_every_tensor_stays_on_the_device(name):
    step, now, batch = start(name)
    now, batch = tree.map(lambda leaf: leaf.to("meta"), (now, batch))
    for leaf in tree.leaves(repeat(step, now, batch, 2)):
        assert leaf.device.type == "meta"


@every
@in_both
def test_a_saved_run_goes_on_with_the_same_bits(name, dtype, tmp_path):
    step, now, batch = start(name, dtype)
    step = jit(step, backend="trace")
    middle, _ = repeat(step, now, batch, 3)
    train.save_checkpoint(tmp_path / "middle.safetensors", middle)
    loaded = train.load_checkpoint(tmp_path / "middle.safetensors", now).tree
    ours, wanted = repeat(step, loaded, batch, 3), repeat(step, middle, batch, 3)
    assert tree.paths(ours) == tree.paths(wanted)
    assert all(map(torch.equal, tree.leaves(ours), tree.leaves(wanted)))
