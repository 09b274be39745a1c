"""Handwritten digits where they are on this computer, else images of their shape."""

import torch

from funcsci import data, random
from funcsci.compare.twin import Samples
from funcsci.random import Key

TRAIN, TEST = 6_400, 1_000
"""How many images are taken: what a hundred steps of 64 see, and enough to tell a percent."""


def digits(key: Key, dtype: torch.dtype, device: torch.device) -> Samples:
    """Images of shape `(samples, 1, 28, 28)` with ink at one, and labels.

    The digits of MNIST where its files are on this computer, for a comparison downloads nothing; else
    uniform noise of their shape with random labels, which costs the same and from which nothing is learned.
    """
    try:
        train, test = (data.mnist(part, download=False, dtype=dtype, device=device) for part in (True, False))
        source = "digits of MNIST"
    except FileNotFoundError:
        first, second = random.split(key.to(device))
        train, test = _noise(first, TRAIN, dtype), _noise(second, TEST, dtype)
        source = "random images of MNIST's shape"
    return Samples(
        (train.images[:TRAIN], train.labels[:TRAIN]),
        (test.images[:TEST], test.labels[:TEST]),
        f"{TRAIN:,} {source}",
    )


def _noise(key: Key, count: int, dtype: torch.dtype) -> data.Images:
    pixels, labels = random.split(key)
    return data.Images(
        random.uniform(pixels, (count, 1, 28, 28), dtype=dtype),
        random.randint(labels, (count,), 0, 10).to(torch.int64),
    )
