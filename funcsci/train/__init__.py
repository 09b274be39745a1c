"""Training: the loop over a compiled step, and what survives it.

This room brings a loss, an optimizer and batches together, and keeps the history and the checkpoints. What
the loss is made of, how an update is computed and where batches come from is decided on the floors below.
"""

from funcsci.train.checkpoint import Checkpoint as Checkpoint
from funcsci.train.checkpoint import Checkpoints as Checkpoints
from funcsci.train.checkpoint import load_checkpoint as load_checkpoint
from funcsci.train.checkpoint import save_checkpoint as save_checkpoint
from funcsci.train.loop import fit as fit
from funcsci.train.report import Best as Best
from funcsci.train.report import Report as Report
from funcsci.train.result import FitResult as FitResult
from funcsci.train.step import TrainState as TrainState
from funcsci.train.step import start as start
from funcsci.train.step import train_step as train_step
