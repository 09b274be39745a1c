"""Training: the loop over a compiled step.

This room brings a loss, an optimizer and batches together and keeps the history. What the loss is
made of, and how an update is computed, is decided on the floors below.
"""

from funcsci.train.loop import FitResult as FitResult
from funcsci.train.loop import fit as fit
from funcsci.train.step import Loss as Loss
from funcsci.train.step import TrainState as TrainState
from funcsci.train.step import train_step as train_step
