"""Layers: pure functions over parameter trees, from sizes to a model.

The room holds what networks are built from: the two protocols of a model, initializers, activations and
layers. It does not hold assembled networks (`funcsci.models`), training (`funcsci.train`), derivatives
(`funcsci.autodiff`), or anything that keeps its parameters to itself.
"""

from funcsci.nn import initializers as initializers
from funcsci.nn.activations import ACTIVATIONS as ACTIVATIONS
from funcsci.nn.activations import activation as activation
from funcsci.nn.embedding import fourier_features as fourier_features
from funcsci.nn.embedding import periodic_embedding as periodic_embedding
from funcsci.nn.initializers import Initializer as Initializer
from funcsci.nn.linear import linear as linear
from funcsci.nn.linear import mlp as mlp
from funcsci.nn.model import Model as Model
from funcsci.nn.model import Params as Params
from funcsci.nn.model import State as State
from funcsci.nn.model import StatefulModel as StatefulModel
from funcsci.nn.model import sequential as sequential
from funcsci.nn.model import stateful as stateful
from funcsci.nn.siren import siren as siren
from funcsci.nn.summary import Summary as Summary
from funcsci.nn.summary import summary as summary
