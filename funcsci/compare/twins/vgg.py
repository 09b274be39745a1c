"""The course's convolutional network with batch normalization, on handwritten digits."""

import torch
from torch import Tensor

from funcsci import nn, optim, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Twin
from funcsci.compare.twins.digits import digits
from funcsci.random import Key
from funcsci.tree import PyTree


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions: the running statistics go in and come out."""
    layers = nn.sequential(
        nn.conv2d(1, 32, 3, padding=1),
        nn.batch_norm(32),
        torch.relu,
        nn.max_pool2d(2),
        nn.conv2d(32, 64, 3, padding=1),
        nn.batch_norm(64),
        torch.relu,
        nn.max_pool2d(2),
        nn.conv2d(64, 128, 3, padding=1),
        nn.batch_norm(128),
        torch.relu,
        nn.max_pool2d(2),
        nn.flatten(),
        nn.linear(1152, 10),
    )
    model = nn.channels_last(nn.stateful(layers))
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor], *, state: nn.State) -> tuple[Tensor, PyTree]:
        images, labels = batch
        logits, state = model.apply(params, state, images, train=True)
        return nn.cross_entropy(logits, labels), (state, {})

    params, state = model.init(key, dtype=dtype, device=device)
    now = train.start(params, optimizer, state=state)
    return FunctionalProgram(model, now, train.train_step(loss, optimizer))


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.BatchNorm2d(32),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.BatchNorm2d(64),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(64, 128, 3, padding=1),
        torch.nn.BatchNorm2d(128),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(1152, 10),
    ).to(device, dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = torch.nn.CrossEntropyLoss()

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        loss: Tensor = criterion(network(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def correct(output: Tensor, label: Tensor) -> Tensor:
    """Whether the most probable digit is the right one."""
    return output.argmax(-1) == label


VGG = Twin(
    "a convolutional network with batch normalization",
    functional,
    module,
    digits,
    batch_size=64,
    correct=correct,
    images=True,
    # A batch normalization takes the mean away, and with it the bias before, which its running mean follows.
    free=("0.bias", "4.bias", "8.bias", "1.running_mean", "5.running_mean", "9.running_mean"),
)
