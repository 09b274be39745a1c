"""A small VGG: the resolution goes down as the channels go up."""

import itertools
import math
from collections.abc import Sequence

import torch

from funcsci import checks, nn
from funcsci.nn import StatefulModel, Window

VGG_BLOCK = (Window(3, padding=1), Window(2, stride=2))
"""The windows of one block: a convolution that keeps the size, and a pooling that halves it."""


def vgg(channels: Sequence[int] = (1, 32, 64, 128), *, size: int = 28, classes: int = 10) -> StatefulModel:
    """Blocks of convolution, batch normalisation, ReLU and max pooling, and an affine classifier.

    By default 1 → 32 → 64 → 128 channels on 28 → 14 → 7 → 3 cells a side, and 1152 → 10: the network of the
    course for MNIST, with 104,650 parameters.

    Args:
        channels: of the input, and after each block.
        size: height and width of the input.
        classes: logits for each image.

    Returns:
        A stateful model. Params and state are lists by layer: block `i` is at `4 i` (convolution) and `4 i +
        1` (normalisation), the classifier at the end. It maps `x`, shape `(batch, channels[0], size, size)`,
        to `(batch, classes)`, and works with the channels innermost in memory (`nn.channels_last`).

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is not positive, or the input is too small for so many blocks.

    Example:
        >>> import torch
        >>> from funcsci import random, tree
        >>> model = vgg()
        >>> params, state = model.init(random.key(0))
        >>> tree.size(params), model.apply(params, state, torch.zeros(2, 1, 28, 28), train=False)[0].shape
        (104650, torch.Size([2, 10]))

    Source: Simonyan and Zisserman (2014), arXiv:1409.1556, for the blocks; Ioffe and Szegedy (2015),
        arXiv:1502.03167, for the normalisation.
    """
    checks.widths(channels=channels)
    checks.integer(least=1, size=size, classes=classes)
    pairs = list(itertools.pairwise(channels))
    left = nn.conv_output_size((size, size), *(VGG_BLOCK * len(pairs)))
    blocks = [
        layer
        for before, after in pairs
        for layer in (
            nn.conv2d(before, after, 3, padding=1),
            nn.batch_norm(after),
            torch.relu,
            nn.max_pool2d(2),
        )
    ]
    classifier = nn.linear(channels[-1] * math.prod(left), classes)
    return nn.channels_last(nn.stateful(nn.sequential(*blocks, nn.flatten(), classifier)))
