"""A perceptron with two hidden layers on a noisy sine."""

import math

import torch
from torch import Tensor

from funcsci import data, nn, optim, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    model = nn.sequential(nn.linear(1, 20), torch.tanh, nn.linear(20, 20), torch.tanh, nn.linear(20, 1))
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return nn.mse(model.apply(params, x), y)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = torch.nn.Sequential(
        torch.nn.Linear(1, 20),
        torch.nn.Tanh(),
        torch.nn.Linear(20, 20),
        torch.nn.Tanh(),
        torch.nn.Linear(20, 1),
    ).to(device, dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss = torch.nn.functional.mse_loss(network(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Points about one period of a sine."""
    made = data.noisy_sine(key.to(device), 640, interval=(-math.pi, math.pi), dtype=dtype)
    return Samples((made["x"], made["y"]), None, "640 points of a noisy sine")


SINE = Twin("regression with a perceptron 1-20-20-1", functional, module, samples, batch_size=64)
