"""Every model of the room by its name."""

from collections.abc import Callable
from typing import NamedTuple

from funcsci.models.autoencoder import autoencoder
from funcsci.models.causal_transformer import causal_transformer
from funcsci.models.forecaster import forecaster
from funcsci.models.logistic import logistic_regression
from funcsci.models.operator_transformer import operator_transformer
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
    "forecaster": Entry(forecaster, (6, 1)),
    "operator_transformer": Entry(lambda **sizes: operator_transformer(**sizes).model, (64,)),
    "causal_transformer": Entry(lambda **sizes: causal_transformer(**sizes).model, (50, 3)),
}
"""The models of the room; each is held to the same contract."""
