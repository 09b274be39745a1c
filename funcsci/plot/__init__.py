"""Figures: functions from arrays to a matplotlib figure.

They know nothing of solvers and open no window; what is drawn is computed on the floors above.
"""

from funcsci.plot.attention import attention_figure as attention_figure
from funcsci.plot.chaos import error_growth_figure as error_growth_figure
from funcsci.plot.chaos import prediction_times_figure as prediction_times_figure
from funcsci.plot.chaos import trajectories_figure as trajectories_figure
from funcsci.plot.comparison import comparison_figure as comparison_figure
from funcsci.plot.fields import Misfit as Misfit
from funcsci.plot.fields import curves_figure as curves_figure
from funcsci.plot.fields import map_figure as map_figure
from funcsci.plot.fields import slices_figure as slices_figure
from funcsci.plot.panels import Course as Course
from funcsci.plot.pictures import rows_figure as rows_figure
from funcsci.plot.style import figure_path as figure_path
from funcsci.plot.training import training_figure as training_figure
