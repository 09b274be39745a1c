"""What `fit` costs over a bare loop of the same compiled step: one run, one table.

    python benchmarks/training.py [--threads 1] [--epochs 3]

A 784-256-10 perceptron, batches of 64 of 12,800 samples, Adam, float32. Both loops call one and the same
program, with batches picked by the same permutation, in alternating blocks of epochs; the medians count.
"""

import argparse
import statistics
import time
from unittest import mock

import torch

from funcsci import nn, optim, random, train
from funcsci.compile import jit

SAMPLES, BATCH, BLOCKS = 12_800, 64, 9
KEY = random.key(0)
MODEL = nn.mlp((784, 256, 10), activation=torch.relu)


def loss(params, batch):
    x, y = batch
    return torch.nn.functional.cross_entropy(MODEL.apply(params, x), y)


def bare(step, now, data, epochs: int):
    x, y = data
    for epoch in range(epochs):
        order = random.permutation(random.fold_in(KEY, epoch), SAMPLES)
        for place in range(0, SAMPLES, BATCH):
            chosen = order[place : place + BATCH]
            now, _ = step(now, (x.index_select(0, chosen), y.index_select(0, chosen)))
    return now


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    x = random.uniform(random.fold_in(KEY, 1), (SAMPLES, 784), dtype=torch.float32)
    y = random.randint(random.fold_in(KEY, 2), (SAMPLES,), 0, 10).long()
    params, optimizer = MODEL.init(KEY, dtype=torch.float32), optim.adam(1e-3)
    step = jit(train.train_step(loss, optimizer), backend=arguments.backend)
    seconds: dict[str, list[float]] = {"bare loop": [], "fit": []}
    for _ in range(BLOCKS):
        begin = time.perf_counter()
        bare(step, train.start(params, optimizer), (x, y), arguments.epochs)
        seconds["bare loop"].append(time.perf_counter() - begin)
        with mock.patch("funcsci.train.loop.jit", lambda function, **how: step):
            result = train.fit(
                loss, params, optimizer, (x, y), batch_size=BATCH, epochs=arguments.epochs,
                key=KEY, backend=arguments.backend, progress_bar=arguments.bar,
            )  # fmt: skip
        taken = float(result.seconds[-1] - result.seconds[0])
        seconds["fit"].append(taken * len(result.seconds) / (len(result.seconds) - 1))
    count = arguments.epochs * SAMPLES // BATCH
    base = statistics.median(seconds["bare loop"][1:])
    print("| loop | microseconds a step | times the bare loop |\n|---|---|---|")
    for name, blocks in seconds.items():
        middle = statistics.median(blocks[1:])
        print(f"| {name} | {1e6 * middle / count:.0f} | {middle / base:.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--backend", default="compile")
    parser.add_argument("--bar", action="store_true", help="show the progress bar too")
    main(parser.parse_args())
