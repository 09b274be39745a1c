"""Logistic regression on two blobs."""

import torch
from torch import Tensor

from funcsci import data, nn, optim, random, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    model = nn.linear(2, 1)
    optimizer = optim.sgd(0.1)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, label = batch
        return nn.binary_cross_entropy_with_logits(model.apply(params, x).squeeze(-1), label)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = torch.nn.Linear(2, 1).to(device, dtype)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    criterion = torch.nn.BCEWithLogitsLoss()

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, label = batch
        loss: Tensor = criterion(network(x).squeeze(-1), label)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Two blobs of unit width around (2, 2) and (-2, -2), and others of the same kind to judge by."""
    train, test = (data.two_blobs(one, 320, dtype=dtype) for one in random.split(key.to(device)))
    return Samples((train["x"], train["y"]), (test["x"], test["y"]), "640 points of two blobs")


def correct(output: Tensor, label: Tensor) -> Tensor:
    """Whether the more probable class is the right one."""
    return (output.squeeze(-1) > 0) == (label > 0.5)


LOGISTIC = Twin("logistic regression", functional, module, samples, batch_size=64, correct=correct)
