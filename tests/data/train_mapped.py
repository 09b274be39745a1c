"""Train from a file of ten times the anonymous memory that is allowed, and measure how much of it is taken.

    python train_mapped.py FOLDER ALLOWED

ALLOWED is in MiB. Prints one line of JSON: the size of the file in MiB; by how much the memory of the process
that no file stands behind (RssAnon) grew during the training, at its highest; by how much it grows when the
file is read instead; the steps, and the first and the last loss.
"""

import contextlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from funcsci import nn, optim, random, train
from funcsci.data import memory_mapped

FEATURES = 1024  # 4 KiB a sample
BATCH = 256
CHUNK = 1024  # samples; 4 MiB
KEY = random.key(79)
MODEL = nn.linear(FEATURES, 1)


def anonymous() -> float:
    """MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1024


@contextlib.contextmanager
def growth() -> Iterator[list[float]]:
    """By how much the anonymous memory grows at most meanwhile, in a list of one number."""
    before, highest, ended = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            highest[0] = max(highest[0], anonymous() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield highest
    finally:
        highest[0] = max(highest[0], anonymous() - before)
        ended.set()
        watcher.join()


def write(folder: Path, chunks: int) -> None:
    """Samples of a linear law, one chunk in memory at a time."""
    chunk = random.normal(KEY, (CHUNK, FEATURES)).numpy()
    weight = random.normal(random.fold_in(KEY, 1), (FEATURES,)).numpy() / FEATURES**0.5
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (chunks * CHUNK, FEATURES))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.float32, (chunks * CHUNK, 1))
    for place in range(chunks):
        rows = slice(place * CHUNK, (place + 1) * CHUNK)
        x[rows] = np.roll(chunk, place, axis=1)
        y[rows] = (x[rows] @ weight)[:, None]


def fit(data, **options) -> train.FitResult:
    def loss(params, batch):
        return (MODEL.apply(params, batch["x"]) - batch["y"]).square().mean()

    return train.fit(
        loss, MODEL.init(KEY), optim.adam(3e-3), data, key=KEY, batch_size=BATCH, backend="trace",
        progress_bar=False, **options,
    )  # fmt: skip


def main() -> None:
    folder, allowed = Path(sys.argv[1]), int(sys.argv[2])
    write(folder, chunks=10 * allowed * 2**20 // (4 * FEATURES * CHUNK))
    # What training takes whatever the data are is taken before: the program of the step and what traces it.
    fit({"x": torch.zeros(2 * BATCH, FEATURES), "y": torch.zeros(2 * BATCH, 1)}, steps=2)
    with growth() as trained:
        result = fit(memory_mapped({name: folder / f"{name}.npy" for name in "xy"}), epochs=1)
    with growth() as read:
        torch.from_numpy(np.load(folder / "x.npy"))
    outcome = {
        "file": (folder / "x.npy").stat().st_size / 2**20,
        "trained": trained[0],
        "read": read[0],
        "steps": len(result.loss),
        "loss": [float(result.loss[0]), float(result.loss[-1])],
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
