"""A convolutional autoencoder: an image through a narrow place and back."""

import itertools
from collections.abc import Sequence

import torch

from funcsci import checks, nn
from funcsci.nn import Model
from funcsci.nn.activations import Activation

PADDINGS = (1, 1, 0)
"""Of the three steps down, 28 to 14 to 7 to 3, each a 3-window with stride 2."""


def encoder(channels: Sequence[int] = (1, 32, 64, 64)) -> Model:
    """Convolutions with stride 2 and ReLUs, from 28 × 28 cells to 3 × 3.

    Args:
        channels: of the image, and after each of the three convolutions.

    Returns:
        A model that maps `x`, shape `(batch, channels[0], 28, 28)`, to `(batch, channels[3], 3, 3)`.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is not positive, or there are not four.

    Example:
        >>> import torch
        >>> from funcsci import random
        >>> model = encoder()
        >>> model.apply(model.init(random.key(0)), torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 64, 3, 3])
    """
    _check(channels)
    layers: list[Model | Activation] = []
    for (before, after), padding in zip(itertools.pairwise(channels), PADDINGS, strict=True):
        layers += [nn.conv2d(before, after, 3, stride=2, padding=padding), torch.relu]
    joined: Model = nn.sequential(*layers)
    return joined


def decoder(channels: Sequence[int] = (1, 32, 64, 64)) -> Model:
    """Transposed convolutions with stride 2 and ReLUs between them, from 3 × 3 cells to 28 × 28.

    Args:
        channels: those of the encoder, in its order.

    Returns:
        A model that maps `x`, shape `(batch, channels[3], 3, 3)`, to `(batch, channels[0], 28, 28)`.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is not positive, or there are not four.

    Example:
        >>> import torch
        >>> from funcsci import random
        >>> model = decoder()
        >>> model.apply(model.init(random.key(0)), torch.zeros(2, 64, 3, 3)).shape
        torch.Size([2, 1, 28, 28])
    """
    _check(channels)
    layers: list[Model | Activation] = []
    for (before, after), padding in zip(itertools.pairwise(channels[::-1]), PADDINGS[::-1], strict=True):
        # A padded step down from an even size loses half a cell, which the output padding gives back.
        up = nn.conv_transpose2d(before, after, 3, stride=2, padding=padding, output_padding=padding)
        layers += [up, torch.relu]
    joined: Model = nn.sequential(*layers[:-1])
    return joined


def autoencoder(channels: Sequence[int] = (1, 32, 64, 64)) -> Model:
    """The encoder and the decoder, one after the other.

    Trained to give the clean image back from a noisy one, it removes noise: what does not fit through the
    576 numbers in the middle is lost, and noise fits least.

    Args:
        channels: of the image, and after each of the encoder's three convolutions.

    Returns:
        A model whose params are those of `[encoder, decoder]`. It maps images of shape
        `(batch, channels[0], 28, 28)` to the same shape, with the channels innermost in memory.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if a number is not positive, or there are not four.

    Example:
        >>> import torch
        >>> from funcsci import random, tree
        >>> model = autoencoder()
        >>> params = model.init(random.key(0))
        >>> tree.size(params), model.apply(params, torch.zeros(2, 1, 28, 28)).shape
        (111425, torch.Size([2, 1, 28, 28]))

    Source: Vincent et al. (2008), doi:10.1145/1390156.1390294.
    """
    both: Model = nn.sequential(encoder(channels), decoder(channels))
    return nn.channels_last(both)


def _check(channels: Sequence[int]) -> None:
    checks.widths(channels=channels)
    if len(channels) != len(PADDINGS) + 1:
        must = "have four entries, of the image and after each of three convolutions"
        raise ValueError(checks.message(must, "channels", channels, "Try channels=(1, 32, 64, 64)."))
