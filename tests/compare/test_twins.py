"""Both programs of each twin compute the same, from the same weights and data."""

import itertools

import pytest
import torch

from funcsci import nn, random, tree
from funcsci.compare import TWINS
from funcsci.compare.pair import batches_of, make_pair, run
from funcsci.compare.twins import digits
from funcsci.interop import state_dict
from funcsci.models import MODELS

CPU, KEY = torch.device("cpu"), random.key(0)
SMALL = {"vgg": 4, "autoencoder": 4, "forecaster": 2, "operator_transformer": 2, "causal_transformer": 2}
"""Fewer samples in a batch, for time."""


def begun(name: str, key=KEY):
    twin = TWINS[name]
    twin = twin._replace(batch_size=SMALL.get(name, twin.batch_size))
    return twin, make_pair(twin, key, torch.float64, CPU), twin.samples(key, torch.float64, CPU)


@pytest.mark.parametrize("name", TWINS)
def test_losses_and_parameters_follow_each_other_for_a_hundred_steps(name: str) -> None:
    twin, pair, samples = begun(name)
    first = {name: one.clone() for name, one in pair.module.network.state_dict().items()}
    done = []
    found = run(twin, pair, samples, KEY, steps=100, after_step=lambda: done.append(1))
    assert found.functional_loss.shape == found.module_loss.shape == (len(done),) == (100,)
    assert found.loss_difference <= 1e-9 and found.parameter_difference <= 1e-9
    moved = {name: (one - first[name]).abs().max() for name, one in pair.module.network.state_dict().items()}
    assert moved.keys() == found.differences.keys()
    assert all(found.differences[name] < 1e-5 * far for name, far in moved.items() if name not in twin.free)
    assert (found.functional_accuracy is None) == (found.module_accuracy is None) == (twin.correct is None)
    assert found.functional_accuracy == found.module_accuracy


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.free])
def test_what_is_called_free_has_no_gradient_and_all_else_has_one(name: str) -> None:
    twin, pair, samples = begun(name)
    pair.module.step(next(batches_of(twin, samples, KEY, 1)))
    for path, parameter in pair.module.network.named_parameters():
        assert (float(parameter.grad.abs().max()) < 1e-12) == (path in twin.free), path


@pytest.mark.parametrize("name", [name for name in TWINS if TWINS[name].images])
def test_free_is_what_a_batch_normalization_takes_away(name: str) -> None:
    twin, pair, _ = begun(name)
    layers = list(pair.module.network)
    expected = set()
    for place, (layer, then) in enumerate(itertools.pairwise(layers)):
        if isinstance(then, torch.nn.BatchNorm2d) and layer.bias is not None:
            expected |= {f"{place}.bias", f"{place + 1}.running_mean"}
    assert set(twin.free) == expected


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_library_is_what_its_twin_trains(name: str) -> None:
    entry = MODELS[name]
    model, now, _ = begun(name)[1].functional
    theirs, ours = nn.stateful(entry.make()), nn.stateful(model)
    x = random.uniform(random.key(1), (3, *entry.sample))
    tree.check_structure(params=theirs.init(KEY), twin=(now.params, now.state))
    expected, expected_state = theirs.apply(now.params, now.state, x, train=True)
    y, state = ours.apply(now.params, now.state, x, train=True)
    torch.testing.assert_close(y.reshape(expected.shape), expected, rtol=1e-13, atol=1e-13)
    assert tree.allclose(state, expected_state)


@pytest.mark.parametrize("name", TWINS)
def test_the_first_weights_are_the_same_and_come_from_the_key_alone(name: str) -> None:
    generator = torch.random.get_rng_state()
    pairs = [make_pair(TWINS[name], random.key(seed), torch.float32, CPU) for seed in (3, 3, 4)]
    weights = [state_dict(pair.functional.now.params, pair.functional.now.state) for pair in pairs]
    for pair, expected in zip(pairs, weights, strict=True):
        found = pair.module.network.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[path], one) for path, one in expected.items())
        assert all(one.dtype in (torch.float32, torch.int64) for one in found.values())
    assert all(torch.equal(weights[0][path], weights[1][path]) for path in weights[0])
    assert any(not torch.equal(weights[0][path], weights[2][path]) for path in weights[0])
    assert torch.equal(torch.random.get_rng_state(), generator)


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.correct])
def test_the_accuracy_is_the_share_of_right_answers(name: str) -> None:
    twin, pair, samples = begun(name)
    x, target = samples.test
    found = run(twin, pair, samples, KEY, steps=1)
    with torch.no_grad():
        output = pair.module.network.eval()(x)
    if output.shape[-1] == 1:
        output = torch.cat((torch.zeros_like(output), output), dim=-1)
    right = sum(int(one.argmax()) == int(label) for one, label in zip(output, target, strict=True))
    assert found.module_accuracy == pytest.approx(right / len(target), abs=1e-15)


def test_images_are_those_of_mnist_where_its_files_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(train: bool, *, download: bool, dtype, device):
        assert not download
        count = 7000 if train else 2000
        return digits.data.Images(torch.full((count, 1, 28, 28), 0.5), torch.full((count,), int(train)))

    monkeypatch.setattr(digits.data, "mnist", found)
    samples = digits.digits(KEY, torch.float64, CPU)
    assert samples.source == "400 digits of MNIST"
    assert len(samples.train[0]) == len(samples.train[1]) == 400 and bool((samples.train[1] == 1).all())
    assert len(samples.test[0]) == 50 and bool((samples.test[1] == 0).all())


def test_images_are_random_where_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(digits.data, "mnist", missing)
    one, same = (digits.digits(KEY, torch.float64, CPU) for _ in range(2))
    assert one.source == "400 random images of MNIST's shape"
    assert torch.equal(one.train[0], same.train[0]) and not torch.equal(one.train[0][:50], one.test[0])
    assert one.train[0].shape == (400, 1, 28, 28) and one.train[0].dtype == torch.float64
    assert set(one.train[1].tolist()) == set(range(10))
