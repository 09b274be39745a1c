"""What is compared: one model of the course, written in both styles."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci.nn import Model, StatefulModel
from funcsci.random import Key
from funcsci.train import TrainState
from funcsci.train.loss import Metrics
from funcsci.tree import PyTree


class FunctionalProgram(NamedTuple):
    """A training program of pure functions.

    Attributes:
        model: the network.
        now: where the run begins.
        step: `step(now, batch) -> (next, metrics)`, as `train.train_step` makes it.
    """

    model: Model | StatefulModel
    now: TrainState
    step: Callable[..., tuple[TrainState, Metrics]]


class ModuleProgram(NamedTuple):
    """A training program in the class style, which changes its network and its optimizer in place.

    Attributes:
        network: holds parameters and buffers.
        optimizer: holds the parameters too, and its own state.
        step: `step(batch) -> loss`.
    """

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[PyTree], Tensor]


class Samples(NamedTuple):
    """What both programs are trained on, and what they are judged by.

    Attributes:
        train: a pytree of tensors with the samples along their first dimension.
        test: input and target of samples held out; None where nothing is classified.
        source: what the samples are, in a few words.
    """

    train: PyTree
    test: tuple[Tensor, Tensor] | None
    source: str


class Twin(NamedTuple):
    """A model of the course in both styles.

    The parameters of both have the same paths: `layers[0]['weight']` of the one is `layers.0.weight` in the
    other's `state_dict`.

    Attributes:
        title: what is trained, in a few words.
        functional: `functional(key, dtype, device)` makes the one program.
        module: `module(dtype, device)` makes the other.
        samples: `samples(key, dtype, device)` makes or reads the data.
        batch_size: samples in a batch.
        correct: `correct(output, target)`, True where a sample is classified rightly; None where the model
            does not classify.
        images: whether the samples are images, which have two memory formats.
        free: the names of what the loss does not depend on, such as a bias before a batch normalization, and
            of what follows it. Its gradient is round-off, from which Adam makes steps like any other, so it
            parts from the other program's.
    """

    title: str
    functional: Callable[[Key, torch.dtype, torch.device], FunctionalProgram]
    module: Callable[[torch.dtype, torch.device], ModuleProgram]
    samples: Callable[[Key, torch.dtype, torch.device], Samples]
    batch_size: int
    correct: Callable[[Tensor, Tensor], Tensor] | None = None
    images: bool = False
    free: tuple[str, ...] = ()
