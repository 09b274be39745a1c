"""Figures: functions from arrays to a matplotlib figure.

They know nothing of solvers and open no window; what is drawn is computed on the floors above.
"""

from funcsci.plot.solution import solution_figure as solution_figure
from funcsci.plot.style import figure_path as figure_path
from funcsci.plot.training import training_figure as training_figure
