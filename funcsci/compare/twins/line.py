"""Linear regression on a noisy line."""

import torch
from torch import Tensor

from funcsci import data, nn, optim, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    model = nn.linear(1, 1)
    optimizer = optim.sgd(0.1)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return nn.mse(model.apply(params, x), y)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = torch.nn.Linear(1, 1).to(device, dtype)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss = torch.nn.functional.mse_loss(network(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Points about a line."""
    made = data.noisy_line(key.to(device), 640, dtype=dtype)
    return Samples((made["x"], made["y"]), None, "640 points of a noisy line")


LINE = Twin("linear regression", functional, module, samples, batch_size=64)
