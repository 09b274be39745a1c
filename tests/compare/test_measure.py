"""The forms: which there are, in which order they run, and what is told of one that fails."""

import pytest
import torch

from funcsci import random
from funcsci.compare import TWINS
from funcsci.compare.forms import Form, form_names, make_form
from funcsci.compare.measure import BLOCKS, Runner, measure, times
from funcsci.compare.pair import batches_of, make_pair
from funcsci.compare.worker import measured

CPU, KEY = torch.device("cpu"), random.key(0)


def test_each_form_has_a_cost_and_each_turn_is_told() -> None:
    said = []
    costs = measure(TWINS["line"], KEY, torch.float32, CPU, compiled=False, said=said.append)
    names = ["nn.Module, eager", "functional, eager", "functional, trace"]
    assert [cost.name for cost in costs] == names == form_names(TWINS["line"], compiled=False)
    for cost in costs:
        assert cost.first > 0 and cost.seconds > 0 and not cost.failure
        assert 16 <= cost.memory < 10_000  # two numbers and their gradients, and batches of 64 on the way
    assert len(said) == 2 * len(names) + BLOCKS


def test_images_are_measured_in_both_memory_formats() -> None:
    names = form_names(TWINS["vgg"])
    assert [name for name in names if name.startswith("nn.Module")] == [
        "nn.Module, eager",
        "nn.Module, eager channels last",
        "nn.Module, compile",
        "nn.Module, compile channels last",
    ]
    twin = TWINS["vgg"]._replace(batch_size=4)
    batches = list(batches_of(twin, twin.samples(KEY, torch.float64, CPU), KEY, 1))
    losses = []
    for name in names[:2]:
        form = make_form(name, twin, batches, KEY, torch.float64, CPU)
        last, (images, labels) = "channels last" in name, form.batches[0]
        weight = next(one for one in form.held() if one.shape == (64, 32, 3, 3))
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
        losses.append(form.step((images, labels)))
    torch.testing.assert_close(*losses, rtol=1e-12, atol=0.0)


def test_the_batches_have_the_memory_format_too() -> None:
    colours, labels = torch.zeros(2, 3, 28, 28), torch.zeros(2)
    for name in form_names(TWINS["vgg"], compiled=False)[:2]:
        form = make_form(name, TWINS["vgg"], [(colours, labels)], KEY, torch.float64, CPU)
        images, same = form.batches[0]
        assert images.is_contiguous(memory_format=torch.channels_last) == ("channels last" in name)
        assert torch.equal(same, labels)


@pytest.mark.parametrize("name", form_names(TWINS["sine"], compiled=False))
def test_every_form_trains(name: str) -> None:
    twin = TWINS["sine"]
    batches = list(batches_of(twin, twin.samples(KEY, torch.float64, CPU), KEY, 3))
    form, alone = (
        make_form(name, twin, batches, KEY, torch.float64, CPU),
        make_pair(twin, KEY, torch.float64, CPU).module,
    )
    for batch in form.batches:
        form.step(batch)
        alone.step(batch)
    weights = [one for one in form.held() if one.shape == (20, 20)]
    expected = dict(alone.network.named_parameters())["2.weight"].detach()
    assert min(float((one.detach() - expected).abs().max()) for one in weights) < 1e-14


def test_a_form_that_does_not_run_is_told_and_the_others_are_measured() -> None:
    def broken(dtype, device):
        program = TWINS["line"].module(dtype, device)

        def step(batch):
            raise RuntimeError("no such kernel\nand more")

        return program._replace(step=step)

    twin = TWINS["line"]._replace(module=broken)
    first, *others = measure(twin, KEY, torch.float32, CPU, compiled=False, memory=False)
    assert first.failure == "RuntimeError: no such kernel\nand more"
    assert (first.first, first.seconds, first.memory) == (None, None, None)
    assert all(one.seconds > 0 and one.memory is None and not one.failure for one in others)


def test_a_backend_that_is_not_there_is_no_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCSCI_DISABLE_JIT", "1")
    with pytest.raises(RuntimeError, match="Got 'trace', in whose place jit runs 'eager'. Install a C"):
        make_form("functional, trace", TWINS["line"], [], KEY, torch.float64, CPU)


def test_the_forms_take_turns() -> None:
    order = []

    def form(name: str) -> Form:
        return Form(lambda batch: order.append(name), lambda: [], [None])

    def take(name: str):
        runner = Runner(form(name), CPU)
        runner.take = lambda count: (order.append(name), 1.0)[1]  # a second, whatever the count
        return runner

    found = times({name: take(name) for name in "ab"}, lambda what: None)
    assert found == {"a": 1.0, "b": 1.0}
    assert "".join(order[-2 * BLOCKS :]) == "ab" * BLOCKS


def test_a_process_that_fails_is_told_with_its_last_words() -> None:
    law = "must end well. Got status 1 and: KeyError: 'threads' Try costs=False"
    with pytest.raises(RuntimeError, match=law):
        measured({"name": "line"}, print)
