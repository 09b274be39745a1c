"""Assembled networks: the models of the course, each a function from sizes to a model.

What they are made of is in `funcsci.nn`, how they are trained in `funcsci.train`. `MODELS` lists them, so
that each is held to the same contract.
"""

from funcsci.models.autoencoder import autoencoder as autoencoder
from funcsci.models.autoencoder import decoder as decoder
from funcsci.models.autoencoder import encoder as encoder
from funcsci.models.causal_transformer import CausalTransformer as CausalTransformer
from funcsci.models.causal_transformer import Scaling as Scaling
from funcsci.models.causal_transformer import causal_transformer as causal_transformer
from funcsci.models.forecaster import forecaster as forecaster
from funcsci.models.generate import generate as generate
from funcsci.models.logistic import cross_entropy_by_hand as cross_entropy_by_hand
from funcsci.models.logistic import logistic_loss as logistic_loss
from funcsci.models.logistic import logistic_regression as logistic_regression
from funcsci.models.logistic import sigmoid as sigmoid
from funcsci.models.operator_transformer import OperatorTransformer as OperatorTransformer
from funcsci.models.operator_transformer import operator_transformer as operator_transformer
from funcsci.models.registry import MODELS as MODELS
from funcsci.models.registry import Entry as Entry
from funcsci.models.vgg import VGG_BLOCK as VGG_BLOCK
from funcsci.models.vgg import vgg as vgg
