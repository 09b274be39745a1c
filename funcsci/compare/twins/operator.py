"""The course's transformer for operators, on what Burgers' equation makes of random functions."""

import torch
from torch import Tensor

from funcsci import data, nn, optim, random, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key

POINTS, WIDTH, HEADS, LAYERS = 64, 16, 4, 2


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    embed, head = nn.linear(POINTS, WIDTH), nn.linear(WIDTH, 1)
    project, out = nn.linear(WIDTH, 3 * WIDTH), nn.linear(WIDTH, WIDTH)

    def init(key: Key, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> nn.Params:
        first, last, *others = random.split(key.to(device), 2 + LAYERS)

        def layer(key: Key) -> nn.Params:
            keys = random.split(key, 3)
            return {
                "project": project.init(keys[0], dtype=dtype),
                "out": out.init(keys[1], dtype=dtype),
                "nearness": random.normal(keys[2], (HEADS, POINTS), dtype=dtype),
            }

        layers = [layer(one) for one in others]
        return {
            "embed": embed.init(first, dtype=dtype),
            "layers": layers,
            "head": head.init(last, dtype=dtype),
        }

    def apply(params: nn.Params, u: Tensor) -> Tensor:
        x = embed.apply(params["embed"], torch.cat([u, u[..., :-1]], -1).unfold(-1, POINTS, 1))
        place = torch.arange(POINTS, device=u.device)
        way = (place - place[:, None]).remainder(POINTS).flatten()
        for layer in params["layers"]:
            mask = layer["nearness"].index_select(-1, way).view(HEADS, POINTS, POINTS)
            joined = project.apply(layer["project"], x)
            apart = joined.reshape(*joined.shape[:-1], 3, HEADS, -1)
            query, key, value = apart.transpose(-4, -2).unbind(-3)
            found = nn.attention(query, key, value, mask=mask).output
            x = x + out.apply(layer["out"], found.transpose(-3, -2).flatten(-2))
        return head.apply(params["head"], x).squeeze(-1)

    model = nn.Model(init, apply)
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        before, after = batch
        return nn.mse(model.apply(params, before), after)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


class Layer(torch.nn.Module):
    """Attention with numbers for each way around the circle, in the class style."""

    def __init__(self) -> None:
        super().__init__()
        self.project = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.out = torch.nn.Linear(WIDTH, WIDTH)
        self.nearness = torch.nn.Parameter(torch.zeros(HEADS, POINTS))

    def forward(self, x: Tensor) -> Tensor:
        """What the points take up."""
        place = torch.arange(POINTS, device=x.device)
        mask = self.nearness[:, (place - place[:, None]).remainder(POINTS)]
        apart = self.project(x).reshape(*x.shape[:-1], 3, HEADS, -1)
        query, key, value = apart.transpose(-4, -2).unbind(-3)
        found = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        result: Tensor = self.out(found.transpose(-3, -2).flatten(-2))
        return result


class OperatorTransformer(torch.nn.Module):
    """The network in the class style."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Linear(POINTS, WIDTH)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = torch.nn.Linear(WIDTH, 1)

    def forward(self, u: Tensor) -> Tensor:
        """The function at the end."""
        x = self.embed(torch.cat([u, u[..., :-1]], -1).unfold(-1, POINTS, 1))
        for layer in self.layers:
            x = x + layer(x)
        result: Tensor = self.head(x).squeeze(-1)
        return result


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = OperatorTransformer().to(device, dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = torch.nn.MSELoss()

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        before, after = batch
        loss: Tensor = criterion(network(before), after)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return ModuleProgram(network, optimizer, step)


def samples(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Functions before and after."""
    before = data.gaussian_random_field(key.to(device), 640, POINTS, dtype=dtype)
    # A tenth of the time and of the steps: the comparison needs no digits beyond those of the networks.
    after = data.burgers_solution(before, viscosity=0.1, time=0.1, steps=100, progress_bar=False)
    return Samples((before, after), None, "640 solutions of Burgers' equation")


OPERATOR = Twin("a transformer for an operator", functional, module, samples, batch_size=16)
