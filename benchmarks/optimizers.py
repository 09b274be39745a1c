"""One update of every optimizer, beside torch.optim's and optax's: one run, one table.

    python benchmarks/optimizers.py [--threads 1] [--widths 64 128 128 8] [--only adam sgd]

The parameters and gradients of a perceptron in float32; what is timed is the update and its application, not
the gradient. The variants of one optimizer run in alternating blocks, and the medians count. torch.optim is
taken as it comes for one tensor after the other (`foreach=False`), with `foreach=True` and with `fused=True`
where it has that; optax under `jax.jit`, where both are installed.
"""

import argparse
import importlib.util
import inspect
import statistics
import time
from collections.abc import Callable

import torch

from funcsci import nn, optim, random, tree
from funcsci.compile import jit

KEY = random.key(0)
RATE = 1e-3
BLOCKS, SECONDS = 7, 0.1
COLUMNS = ("funcsci eager", "funcsci traced", "funcsci compiled", "torch.optim", "foreach", "fused", "optax")
THEIRS = {
    "adadelta": "Adadelta", "adafactor": "Adafactor", "adagrad": "Adagrad", "adam": "Adam",
    "adamax": "Adamax", "adamw": "AdamW", "nadam": "NAdam", "radam": "RAdam", "rmsprop": "RMSprop",
    "rprop": "Rprop", "sgd": "SGD",
}  # fmt: skip
"""Muon is left out: torch's takes matrices alone. SOAP stands in neither."""

Update = Callable[[], object]


def ours(name: str, params, grads, backend: str) -> Update:
    optimizer = optim.OPTIMIZERS[name](RATE)

    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    program = step if backend == "eager" else jit(step, backend=backend)
    now = [params, optimizer.init(params)]

    def advance() -> None:
        now[:] = program(*now, grads)

    return advance


def theirs(name: str, params, grads, **how: bool) -> Update | None:
    kind = getattr(torch.optim, THEIRS.get(name, ""), None)
    if kind is None or not how.keys() <= inspect.signature(kind).parameters.keys():
        return None
    leaves = [leaf.clone().requires_grad_() for leaf in tree.leaves(params)]
    for leaf, grad in zip(leaves, tree.leaves(grads), strict=True):
        leaf.grad = grad.clone()
    return kind(leaves, lr=RATE, **how).step


def optax_update(name: str, params, grads) -> Update | None:
    if any(importlib.util.find_spec(package) is None for package in ("jax", "optax")):
        return None
    import jax
    import optax

    make = getattr(optax, name, None) or getattr(optax.contrib, name, None)
    if make is None:
        return None
    optimizer = make(learning_rate=RATE)
    params, grads = (tree.map(lambda leaf: jax.numpy.asarray(leaf.numpy()), one) for one in (params, grads))

    @jax.jit
    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    now = [params, optimizer.init(params)]

    def advance() -> None:
        now[:] = jax.block_until_ready(step(*now, grads))

    return advance


def microseconds(ways: dict[str, Update]) -> dict[str, float]:
    counts = {}
    for name, way in ways.items():
        for _ in range(3):
            way()
        begin = time.perf_counter()
        way()
        counts[name] = max(1, int(SECONDS / (time.perf_counter() - begin)))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(BLOCKS):
        for name, way in ways.items():
            begin = time.perf_counter()
            for _ in range(counts[name]):
                way()
            seconds[name].append((time.perf_counter() - begin) / counts[name])
    return {name: 1e6 * statistics.median(blocks) for name, blocks in seconds.items()}


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    params = nn.mlp(arguments.widths).init(KEY, dtype=torch.float32)
    keys = random.split(random.fold_in(KEY, 1), len(tree.leaves(params)))
    structure = tree.flatten(params)[1]
    drawn = [
        random.normal(key, leaf.shape, dtype=leaf.dtype)
        for key, leaf in zip(keys, tree.leaves(params), strict=True)
    ]
    grads = tree.unflatten(structure, drawn)
    shape = "-".join(map(str, arguments.widths))
    print(
        f"\n{shape}, {tree.size(params):,} parameters, float32, threads: {arguments.threads}; microseconds\n"
    )
    print(f"| optimizer | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
    for name in arguments.only or optim.OPTIMIZERS:
        found = {
            "funcsci eager": ours(name, params, grads, "eager"),
            "funcsci traced": ours(name, params, grads, "trace"),
            "funcsci compiled": ours(name, params, grads, "compile"),
            "torch.optim": theirs(name, params, grads, foreach=False),
            "foreach": theirs(name, params, grads, foreach=True),
            "fused": theirs(name, params, grads, fused=True),
            "optax": optax_update(name, params, grads),
        }
        taken = microseconds({column: way for column, way in found.items() if way is not None})
        cells = (f"{taken[column]:,.0f}" if column in taken else "" for column in COLUMNS)
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 128, 8])
    parser.add_argument("--only", nargs="+", choices=list(optim.OPTIMIZERS))
    main(parser.parse_args())
