"""Run a training in processes that are killed at random moments, go on each time, and compare the ends.

    python kill_runs.py FOLDER COUNT

Prints one line of JSON: how many were killed in time, at which steps they stopped, and a digest of the last
checkpoint of each, without the times in it, beside that of a run that was left alone. Imports happen once;
each run is a fork.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from funcsci import nn, optim, random, train, tree

STEPS, EVERY = 60, 3
LATEST = 45
"""A run is killed once it has saved a step before this one, and some steps later at the most."""
KEY = random.key(7)
MODEL = nn.mlp((2, 32, 32, 1))
X = random.normal(KEY, (100, 2))
DATA = (X, torch.sin(X[:, :1]))


def loss(params, batch, *, state, key):
    x, y = batch
    value = (MODEL.apply(params, x + 0.01 * random.normal(key, x.shape)) - y).square().mean()
    return value, ({"mean": 0.9 * state["mean"] + 0.1 * value}, {"root": value.sqrt()})


def run(folder: Path) -> None:
    train.fit(
        loss, MODEL.init(KEY), optim.adam(1e-2), DATA, state={"mean": torch.tensor(0.0)}, key=KEY,
        batch_size=16, drop_last=True, steps=STEPS, report_every=4, patience=1000,
        checkpoint=train.Checkpoints(folder, every=EVERY), backend="eager", progress_bar=False,
    )  # fmt: skip


def fork(folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        run(folder)
        os._exit(0)
    finally:  # a child never returns to the loop below
        os._exit(1)


def finish(folder: Path) -> None:
    _, status = os.waitpid(fork(folder), 0)
    if status:
        sys.exit(f"the run in {folder} failed")


def steps_of(folder: Path) -> int:
    return max((int(path.stem.removeprefix("step-")) for path in folder.glob("step-*")), default=0)


def digest(folder: Path) -> str:
    optimizer = optim.adam(1e-2)
    now = train.start(MODEL.init(KEY), optimizer, state={"mean": torch.tensor(0.0)}, key=KEY)
    like = {"now": now, "good": now, "best": [now.params, now.state]}
    found = train.load_checkpoint(folder / f"step-{STEPS:012d}.safetensors", like)
    extra = {name: one for name, one in found.extra.items() if name != "seconds"}
    content = hashlib.sha256(json.dumps(found.story, sort_keys=True).encode())
    for leaf in tree.leaves((found.tree, extra)):
        content.update(leaf.numpy().tobytes())
    return content.hexdigest()


def main(top: Path, count: int) -> None:
    torch.set_num_threads(1)
    whole = top / "whole"
    begin = time.perf_counter()
    finish(whole)
    step = (time.perf_counter() - begin) / STEPS
    killed, stopped_at, digests = 0, [], []
    for number in range(count):
        folder = top / f"killed-{number}"
        share, delay = random.uniform(random.fold_in(KEY, number), (2,)).tolist()
        child = fork(folder)
        # By the run's own progress, not by the clock: how long a step takes changes with what else runs.
        while steps_of(folder) < int(share * LATEST):
            time.sleep(0.1 * step)
        time.sleep(delay * EVERY * step)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        stopped_at.append(steps_of(folder))
        finish(folder)
        digests.append(digest(folder))
    print(
        json.dumps(
            {"killed": killed, "stopped_at": stopped_at, "digests": digests, "uninterrupted": digest(whole)}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
