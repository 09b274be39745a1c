"""Chaos: how fast small errors grow, how long a forecast can hold, and whether its climate is right.

Everything here reads states, from whatever source, or asks a pure map for the next one. Models and the
data of known systems live elsewhere.
"""

from funcsci.chaos.lyapunov import LyapunovExponent as LyapunovExponent
from funcsci.chaos.lyapunov import largest_lyapunov_exponent as largest_lyapunov_exponent
from funcsci.chaos.neighbours import delay_embedding as delay_embedding
from funcsci.chaos.prediction import ErrorGrowth as ErrorGrowth
from funcsci.chaos.prediction import error_growth as error_growth
from funcsci.chaos.prediction import valid_prediction_time as valid_prediction_time
from funcsci.chaos.series import CorrelationDimension as CorrelationDimension
from funcsci.chaos.series import SeriesExponent as SeriesExponent
from funcsci.chaos.series import correlation_dimension as correlation_dimension
from funcsci.chaos.series import series_lyapunov_exponent as series_lyapunov_exponent
from funcsci.chaos.statistics import AttractorStatistics as AttractorStatistics
from funcsci.chaos.statistics import attractor_distance as attractor_distance
from funcsci.chaos.statistics import attractor_statistics as attractor_statistics
