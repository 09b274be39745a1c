"""Both programs of a twin, with the same first weights, and how far they part."""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from funcsci import data, nn
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.compile import jit
from funcsci.interop import state_dict
from funcsci.random import Key
from funcsci.train import TrainState
from funcsci.tree import PyTree


class Pair(NamedTuple):
    """The two programs of a twin.

    Attributes:
        functional: the one.
        module: the other.
    """

    functional: FunctionalProgram
    module: ModuleProgram


class Run(NamedTuple):
    """What both programs did with the same batches.

    Attributes:
        functional_loss: the loss before each step, shape `(steps,)`, float64, on the CPU.
        module_loss: likewise.
        differences: the largest difference of each parameter and running statistic at the end, by torch's
            names.
        free: those among the names that the loss does not depend on, as `Twin` has them.
        functional_accuracy: the share of the samples held out that is classified rightly; None where
            nothing is classified.
        module_accuracy: likewise.
    """

    functional_loss: Float64[Tensor, "steps"]
    module_loss: Float64[Tensor, "steps"]
    differences: dict[str, float]
    free: tuple[str, ...]
    functional_accuracy: float | None
    module_accuracy: float | None

    @property
    def loss_difference(self) -> float:
        """The largest difference of the losses before a step."""
        return float((self.functional_loss - self.module_loss).abs().max())

    @property
    def parameter_difference(self) -> float:
        """The largest difference of what the loss depends on."""
        return max(one for name, one in self.differences.items() if name not in self.free)

    @property
    def free_difference(self) -> float | None:
        """The largest difference of what the loss does not depend on; None where it depends on all."""
        return max((self.differences[name] for name in self.free), default=None)


def make_pair(twin: Twin, key: Key, dtype: torch.dtype, device: torch.device) -> Pair:
    """Both programs, their weights drawn from the key."""
    functional = twin.functional(key, dtype, device)
    with torch.random.fork_rng(devices=[]):  # the network draws weights of its own, to be replaced at once
        module = twin.module(dtype, device)
    module.network.load_state_dict(state_dict(functional.now.params, functional.now.state))
    return Pair(functional, module)


def batches_of(twin: Twin, samples: Samples, key: Key, steps: int) -> Iterator[PyTree]:
    """The batches of the first steps; the same key gives the same."""
    supply = data.batches(samples.train, batch_size=twin.batch_size, key=key, drop_last=True)
    return (batch.data for batch in itertools.islice(supply.start(0), steps))


def run(
    twin: Twin,
    pair: Pair,
    samples: Samples,
    key: Key,
    *,
    steps: int,
    after_step: Callable[[], object] = lambda: None,
) -> Run:
    """Train both programs on the same batches, one step of each in turn.

    Args:
        twin: whose programs they are.
        pair: the programs; that in the class style is changed in place.
        samples: the data.
        key: decides the order of the data.
        steps: how many steps to take.
        after_step: called after each.
    """
    now, module = pair.functional.now, pair.module
    step = jit(pair.functional.step, steps=steps)
    losses: list[tuple[Tensor, Tensor]] = []
    for batch in batches_of(twin, samples, key, steps):
        now, metrics = step(now, batch)
        losses.append((metrics["loss"], module.step(batch)))
        after_step()
    ours, theirs = torch.tensor(losses, dtype=torch.float64).unbind(1)
    found = module.network.state_dict()
    pairs = ((name, leaf, found[name]) for name, leaf in state_dict(now.params, now.state).items())
    apart = {name: float((one - other).abs().max()) for name, one, other in pairs}
    return Run(ours, theirs, apart, twin.free, *_accuracies(twin, pair, now, samples))


def _accuracies(
    twin: Twin, pair: Pair, now: TrainState, samples: Samples
) -> tuple[float, float] | tuple[None, None]:
    """The shares of the samples held out that each program classifies rightly, in evaluation mode."""
    if twin.correct is None or samples.test is None:
        return None, None
    x, target = samples.test
    network = pair.module.network
    with torch.no_grad():
        ours, _ = nn.stateful(pair.functional.model).apply(now.params, now.state, x, train=False)
        theirs = network.eval()(x)
    network.train()
    shares = [float(twin.correct(one, target).double().mean()) for one in (ours, theirs)]
    return shares[0], shares[1]
