"""A physics-informed network for u'' + u = 0, u(0) = 1, u'(0) = 0, with the conditions in the loss."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

from funcsci import nn, optim, random, train
from funcsci.autodiff import derivative
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key

SPAN = (0.0, 2 * math.pi)


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions: derivatives are functions too."""
    model = nn.mlp((1, 32, 32, 1), activation="tanh")
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, points: Tensor) -> Tensor:
        def u(t: Tensor) -> Tensor:
            return model.apply(params, 2 * (t[None] - SPAN[0]) / (SPAN[1] - SPAN[0]) - 1).squeeze()

        start = points.new_full((), SPAN[0])
        residual = vmap(lambda t: derivative(u, 2)(t) + u(t))(points[:, 0])
        return (residual**2).mean() + (u(start) - 1) ** 2 + derivative(u)(start) ** 2

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


class Network(torch.nn.Module):
    """Time scaled to [-1, 1], hidden layers with tanh, one output."""

    def __init__(self, hidden: tuple[int, ...], t_span: tuple[float, float]) -> None:
        super().__init__()
        sizes = (1, *hidden, 1)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        self.start, self.duration = t_span[0], t_span[1] - t_span[0]

    def forward(self, t: Tensor) -> Tensor:
        """The candidate at times of shape `(times, 1)`."""
        x = 2 * (t - self.start) / self.duration - 1
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]


def module_step(network: Network, optimizer: torch.optim.Optimizer) -> Callable[[Tensor], Tensor]:
    """One training step in the class style on points of shape `(points, 1)`: differentiated on the tape."""

    def derivative(values: Tensor, t: Tensor) -> Tensor:
        return torch.autograd.grad(values, t, torch.ones_like(values), create_graph=True)[0]

    def step(points: Tensor) -> Tensor:
        t = points.detach().requires_grad_()
        u = network(t)
        residual = derivative(derivative(u, t), t) + u
        start = torch.full_like(points[:1], network.start).requires_grad_()
        u_start = network(start)
        conditions = (u_start - 1) ** 2 + derivative(u_start, start) ** 2
        loss = (residual**2).mean() + conditions.squeeze()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()  # type: ignore[no-any-return]

    return step


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = Network((32, 32), SPAN).to(device, dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    return ModuleProgram(network, optimizer, module_step(network, optimizer))


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Times drawn uniformly, of which each step takes others."""
    points = random.uniform(key.to(device), (6400, 1), minval=SPAN[0], maxval=SPAN[1], dtype=dtype)
    return Samples(points, None, "6,400 random times")


OSCILLATOR = Twin(
    "a physics-informed network 1-32-32-1 for u'' + u = 0", functional, module, samples, batch_size=64
)
