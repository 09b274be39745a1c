"""The models that are compared, by name."""

from funcsci.compare.twin import Twin
from funcsci.compare.twins.autoencoder import AUTOENCODER
from funcsci.compare.twins.causal import CAUSAL
from funcsci.compare.twins.forecaster import FORECASTER
from funcsci.compare.twins.line import LINE
from funcsci.compare.twins.logistic import LOGISTIC
from funcsci.compare.twins.operator import OPERATOR
from funcsci.compare.twins.oscillator import OSCILLATOR
from funcsci.compare.twins.sine import SINE
from funcsci.compare.twins.vgg import VGG

TWINS: dict[str, Twin] = {
    "line": LINE,
    "logistic": LOGISTIC,
    "sine": SINE,
    "vgg": VGG,
    "autoencoder": AUTOENCODER,
    "forecaster": FORECASTER,
    "operator_transformer": OPERATOR,
    "causal_transformer": CAUSAL,
    "oscillator": OSCILLATOR,
}
"""The models of the course in both styles, by name."""
