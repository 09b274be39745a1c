"""The course's forecaster: the next value of a noisy signal from the six before it."""

import torch
from torch import Tensor

from funcsci import data, nn, optim, random, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key

HIDDEN, LAYERS, LENGTH = 64, 2, 6


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    lstm, head = nn.lstm(1, HIDDEN, layers=LAYERS), nn.linear(HIDDEN, 1)

    def init(key: Key, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> nn.Params:
        first, last = random.split(key.to(device))
        return {"lstm": lstm.init(first, dtype=dtype), "head": head.init(last, dtype=dtype)}

    def apply(params: nn.Params, x: Tensor) -> Tensor:
        outputs, _ = lstm.apply(params["lstm"], x)
        return head.apply(params["head"], outputs[:, -1])

    model = nn.Model(init, apply)
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return nn.mse(model.apply(params, x), y)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


class Forecaster(torch.nn.Module):
    """The network in the class style."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(1, HIDDEN, num_layers=LAYERS, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The next values."""
        outputs, _ = self.lstm(x)
        result: Tensor = self.head(outputs[:, -1])
        return result


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = Forecaster().to(device, dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = torch.nn.MSELoss()

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss: Tensor = criterion(network(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Windows of two waves in noise, far shorter than the course's 50: a compiler unrolls every time."""
    signal = data.noisy_waves(key.to(device), 650, dtype=dtype)["y"]
    windows = data.windows(signal, LENGTH + 1)
    return Samples((windows[:, :-1], windows[:, -1]), None, f"{len(windows)} windows of a noisy signal")


FORECASTER = Twin("a forecaster: LSTM 1-64-64-1", functional, module, samples, batch_size=64)
