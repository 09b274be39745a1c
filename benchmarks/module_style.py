"""The oscillator as the course writes it: nn.Module, torch.autograd.grad twice, torch.optim.Adam."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """Time scaled to [-1, 1], hidden layers with tanh, one output."""

    def __init__(self, hidden: tuple[int, ...], t_span: tuple[float, float]) -> None:
        super().__init__()
        sizes = (1, *hidden, 1)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        self.start, self.duration = t_span[0], t_span[1] - t_span[0]

    def forward(self, t: Tensor) -> Tensor:
        x = 2 * (t - self.start) / self.duration - 1
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


def make_step(network: Network, optimizer: torch.optim.Optimizer) -> Callable[[Tensor], Tensor]:
    """One eager training step for u'' + u = 0, u(t0) = 1, u'(t0) = 0 on points of shape (n, 1)."""

    def derivative(values: Tensor, t: Tensor) -> Tensor:
        return torch.autograd.grad(values, t, torch.ones_like(values), create_graph=True)[0]

    def step(points: Tensor) -> Tensor:
        t = points.requires_grad_()
        u = network(t)
        residual = derivative(derivative(u, t), t) + u
        start = torch.full((1, 1), network.start, dtype=points.dtype, requires_grad=True)
        u_start = network(start)
        conditions = (u_start - 1) ** 2 + derivative(u_start, start) ** 2
        loss = (residual**2).mean() + conditions.squeeze()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def copy_weights(params: dict[str, list[dict[str, Tensor]]], network: Network) -> None:
    """Give a network the weights of a funcsci tree."""
    with torch.no_grad():
        for layer, own in zip(network.layers, params["layers"], strict=True):
            layer.weight.copy_(own["weight"])
            layer.bias.copy_(own["bias"])
