"""The course's transformer for a series of states, on windows of the Lorenz system."""

import torch
import torch.nn.functional as F
from torch import Tensor

from funcsci import data, nn, optim, random, train
from funcsci.compare.twin import FunctionalProgram, ModuleProgram, Samples, Twin
from funcsci.random import Key

FEATURES, WIDTH, HEADS, LAYERS, CONTEXT = 3, 64, 4, 2, 50


def functional(key: Key, dtype: torch.dtype, device: torch.device) -> FunctionalProgram:
    """The program of pure functions."""
    embed, head = nn.linear(FEATURES, WIDTH), nn.linear(WIDTH, FEATURES)
    places = nn.learned_positions(CONTEXT, WIDTH)
    stack = nn.transformer_stack(WIDTH, HEADS, LAYERS, activation="gelu", norm_first=True)

    def init(key: Key, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> nn.Params:
        keys = random.split(key.to(device), 4)
        return {
            "embed": embed.init(keys[0], dtype=dtype),
            "positions": places.init(keys[1], dtype=dtype),
            "stack": stack.init(keys[2], dtype=dtype),
            "head": head.init(keys[3], dtype=dtype),
        }

    def apply(params: nn.Params, x: Tensor) -> Tensor:
        inner = places.apply(params["positions"], embed.apply(params["embed"], x))
        mask = nn.causal_mask(x.shape[-2], device=x.device)
        inner = stack.apply(params["stack"], inner, mask=mask, fused=True).output
        return x + head.apply(params["head"], inner)

    model = nn.Model(init, apply)
    optimizer = optim.adam(1e-3)

    def loss(params: nn.Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        before, after = batch
        return nn.mse(model.apply(params, before), after)

    params = model.init(key, dtype=dtype, device=device)
    return FunctionalProgram(model, train.start(params, optimizer), train.train_step(loss, optimizer))


class Attention(torch.nn.Module):
    """Attention of several heads to the past, by torch's kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = torch.nn.Parameter(torch.empty(3 * WIDTH, WIDTH))
        self.in_proj_bias = torch.nn.Parameter(torch.zeros(3 * WIDTH))
        self.out_proj = torch.nn.Linear(WIDTH, WIDTH)
        torch.nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor) -> Tensor:
        """What each state takes from those before it."""
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        q, k, v = (part.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in parts)
        joined = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        result: Tensor = self.out_proj(joined)
        return result


class Layer(torch.nn.Module):
    """Attention and a network, each after a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.linear1, self.linear2 = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the input and both parts."""
        x = x + self.self_attn(self.norm1(x))
        result: Tensor = x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return result


class Stack(torch.nn.Module):
    """The layers, and a normalisation at the end."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*(Layer() for _ in range(layers)))
        self.norm = torch.nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """One layer after the other."""
        result: Tensor = self.norm(self.layers(x))
        return result


class CausalTransformer(torch.nn.Module):
    """The network in the class style."""

    def __init__(self, layers: int = LAYERS) -> None:
        super().__init__()
        self.embed = torch.nn.Linear(FEATURES, WIDTH)
        self.positions = torch.nn.Embedding(CONTEXT, WIDTH)
        self.stack = Stack(layers)
        self.head = torch.nn.Linear(WIDTH, FEATURES)
        torch.nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """The state after each one."""
        inner = self.embed(x) + self.positions.weight[: x.shape[1]]
        result: Tensor = x + self.head(self.stack(inner))
        return result


def module(dtype: torch.dtype, device: torch.device) -> ModuleProgram:
    """The program in the class style."""
    network = CausalTransformer().to(device, dtype)
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
    """Windows of one trajectory in units of its spread, and the same one state later."""
    series = data.lorenz(2000, dtype=dtype).to(device)
    w = data.windows((series - series.mean(0)) / series.std(0), CONTEXT + 1)
    return Samples(
        (w[:, :-1].contiguous(), w[:, 1:].contiguous()), None, "1,950 windows of the Lorenz system"
    )


CAUSAL = Twin("a transformer for a series of states", functional, module, samples, batch_size=64)
