"""Burgers' solution operator, learned by a transformer and by Fourier neural operators: one run, one table.

    python benchmarks/burgers_operator.py [--viscosity 0.1 0.01] [--seed 0] [--threads 1]

1,000 functions of the stated law and what they are at time 1, on 64 points, to learn from, and 200 others of
another key to be judged by: the mean relative L2 error. All networks see the same pairs, each at random as it
is or mirrored, u(x) -> -u(-x), which is a symmetry of the equation; all minimize the relative error in
float32 with batches of 50 and a rate that rises and falls once, by SOAP with clipped gradients. The FNO is
not given x, so that shifts go through it as they do through the transformer. Sizes and rates were chosen on
other functions (`--validate`: 200 of a third key). Seconds are the processor's, all threads
together, which other work on the machine hardly lengthens.
"""

import argparse
import time

import torch

from funcsci import data, interop, models, nn, optim, random, train, tree


class FourierLayer(torch.nn.Module):
    """A convolution over the whole circle, of the lowest waves, and a map at each point."""

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        self.waves = torch.nn.Parameter(torch.randn(modes, width, width, 2) / width)
        self.local = torch.nn.Conv1d(width, width, 1)

    def forward(self, x):
        series = torch.fft.rfft(x)[..., : self.modes]
        series = torch.einsum("bik,kio->bok", series, torch.view_as_complex(self.waves))
        return torch.fft.irfft(series, n=x.shape[-1]) + self.local(x)


class FNO(torch.nn.Module):
    """Li et al. (2021), arXiv:2010.08895: a lift, four Fourier layers, a projection."""

    def __init__(self, width: int, modes: int = 16, layers: int = 4) -> None:
        super().__init__()
        self.lift = torch.nn.Conv1d(1, width, 1)
        self.layers = torch.nn.ModuleList(FourierLayer(width, modes) for _ in range(layers))
        self.project = torch.nn.Sequential(
            torch.nn.Conv1d(width, 128, 1), torch.nn.GELU(), torch.nn.Conv1d(128, 1, 1)
        )

    def forward(self, u):
        x = self.lift(u.unsqueeze(1))
        for layer in self.layers[:-1]:
            x = torch.nn.functional.gelu(layer(x))
        return self.project(self.layers[-1](x)).squeeze(1)


def functional(module: torch.nn.Module) -> nn.Model:
    """The module as pure functions, with the parameters it has."""
    model, params, state = interop.from_module(module)
    return nn.Model(lambda key: params, lambda params, u: model.apply(params, state, u, train=True)[0])


def fourier(width: int, seed: int) -> nn.Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return functional(FNO(width))


def trained(model: nn.Model, rate: float, pairs, key, epochs: int, bar: bool, backend: str | None):
    def loss(params, batch, *, key):
        mirror = random.bernoulli(key, 0.5, (len(batch["x"]), 1))
        x, y = (torch.where(mirror, -one.flip(-1), one) for one in (batch["x"], batch["y"]))
        return nn.relative_l2(model.apply(params, x), y)

    keys = random.split(key)
    steps = epochs * (len(pairs["x"]) // 50)
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.soap(optim.one_cycle(rate, steps)))
    return train.fit(
        loss, model.init(keys[0]), optimizer, pairs,
        key=keys[1], epochs=epochs, batch_size=50, progress_bar=bar, backend=backend,
    ).params  # fmt: skip


def pairs_of(key, samples: int, viscosity: float, bar: bool):
    return data.burgers(key, samples, viscosity=viscosity, dtype=torch.float32, progress_bar=bar)


CASES = {
    "transformer": (lambda seed: models.operator_transformer().model, 2e-2),
    "FNO of like size": (lambda seed: fourier(5, seed), 1e-2),
    "FNO of width 20": (lambda seed: fourier(20, seed), 5e-3),
}
"""The network, and its largest rate."""


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    print(
        "| ν | network | parameters | relative L2 | median | worst | seconds |\n|---|---|---|---|---|---|---|"
    )
    for viscosity in arguments.viscosity:
        keys = random.split(random.fold_in(random.key(arguments.seed), round(1e6 * viscosity)), 4)
        seen = pairs_of(keys[0], 1000, viscosity, arguments.bar)
        unseen = pairs_of(keys[1 if arguments.validate else 2], 200, viscosity, arguments.bar)
        scale = seen["y"].std()
        scaled = {"x": seen["x"], "y": seen["y"] / scale}
        for name in arguments.cases:
            make, rate = CASES[name]
            model = make(arguments.seed)
            rate = arguments.rate or rate
            begin = time.process_time()
            params = trained(model, rate, scaled, keys[3], arguments.epochs, arguments.bar, arguments.backend)
            seconds = time.process_time() - begin
            with torch.no_grad():
                found = scale * model.apply(params, unseen["x"])
            error = nn.relative_l2(found, unseen["y"], reduction="none")
            print(
                f"| {viscosity} | {name} | {tree.size(params)} | {error.mean():.2e} | {error.median():.2e} "
                f"| {error.max():.2e} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viscosity", type=float, nargs="+", default=[0.1, 0.01])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--rate", type=float, help="the largest, in place of each network's own")
    parser.add_argument("--backend", default="trace", help="of the step, as in jit")
    parser.add_argument("--validate", action="store_true", help="judge by the functions of the third key")
    parser.add_argument("--bar", action="store_true", help="show progress")
    main(parser.parse_args())
