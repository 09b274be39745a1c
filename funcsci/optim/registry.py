"""The named optimizers in one table, so that a new one inherits what is asked of them all."""

from collections.abc import Callable

from funcsci.optim.adafactor import adafactor
from funcsci.optim.adam import adam, adamw
from funcsci.optim.adamax import adamax
from funcsci.optim.adaptive import adadelta, adagrad, rmsprop
from funcsci.optim.muon import muon
from funcsci.optim.nadam import nadam
from funcsci.optim.radam import radam
from funcsci.optim.rprop import rprop
from funcsci.optim.sgd import sgd
from funcsci.optim.soap import soap
from funcsci.optim.transform import Optimizer

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adadelta": adadelta,
    "adafactor": adafactor,
    "adagrad": adagrad,
    "adam": adam,
    "adamax": adamax,
    "adamw": adamw,
    "muon": muon,
    "nadam": nadam,
    "radam": radam,
    "rmsprop": rmsprop,
    "rprop": rprop,
    "sgd": sgd,
    "soap": soap,
}
"""Each optimizer by its name: a constructor whose first argument is the learning rate or a schedule."""
