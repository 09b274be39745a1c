"""Every model of the room by its name."""

from collections.abc import Callable
from typing import NamedTuple

from funcsci.models.autoencoder import autoencoder
from funcsci.models.logistic import logistic_regression
from funcsci.models.vgg import vgg
from funcsci.nn import Model, StatefulModel


class Entry(NamedTuple):
    """A model and what it is applied to.

    Attributes:
        make: the constructor, whose arguments all have defaults.
        sample: the shape of one sample of its input, without the batch.
    """

    make: Callable[..., Model | StatefulModel]
    sample: tuple[int, ...]


MODELS: dict[str, Entry] = {
    "logistic": Entry(logistic_regression, (2,)),
    "vgg": Entry(vgg, (1, 28, 28)),
    "autoencoder": Entry(autoencoder, (1, 28, 28)),
}
"""The models of the room; each is held to the same contract."""
