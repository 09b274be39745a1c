"""The course's denoising autoencoder, on handwritten digits."""

import torch
from torch import Tensor

from funcsci import nn, optim, random, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.compare.twins.digits import digits
from funcsci.random import Key

NOISE = 0.5
"""The standard deviation of the noise, in units of a white pixel."""


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    encoder = nn.sequential(
        nn.conv2d(1, 32, 3, stride=2, padding=1),
        torch.relu,
        nn.conv2d(32, 64, 3, stride=2, padding=1),
        torch.relu,
        nn.conv2d(64, 64, 3, stride=2),
        torch.relu,
    )
    decoder = nn.sequential(
        nn.conv_transpose2d(64, 64, 3, stride=2),
        torch.relu,
        nn.conv_transpose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
        torch.relu,
        nn.conv_transpose2d(32, 1, 3, stride=2, padding=1, output_padding=1),
    )
    model = nn.channels_last(nn.sequential(encoder, decoder))
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        noisy, clean = batch
        return nn.mse(model.apply(params, noisy), clean)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    encoder = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 64, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(64, 64, 3, stride=2),
        torch.nn.ReLU(),
    )
    decoder = torch.nn.Sequential(
        torch.nn.ConvTranspose2d(64, 64, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1),
    )
    network = torch.nn.Sequential(encoder, decoder).to(device, dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = torch.nn.MSELoss()

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        noisy, clean = batch
        loss: Tensor = criterion(network(noisy), clean)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Digits with noise, and without."""
    (clean, _), _, source = digits(key, dtype, device)
    noise = random.normal(random.fold_in(key.to(device), 1), clean.shape, dtype=dtype)
    return Samples((clean + NOISE * noise, clean), None, f"{source} with noise")


AUTOENCODER = Twin("a denoising autoencoder", functional, module, samples, batch_size=64, images=True)
