"""Optimizers: what turns gradients and residuals into better parameters.

First-order methods are pure `init`/`update` pairs; solvers that need more than a gradient take the
function itself and return a result with a status. Loops over data live in `train`.
"""

from funcsci.optim.first_order import OPTIMIZERS as OPTIMIZERS
from funcsci.optim.first_order import adam as adam
from funcsci.optim.first_order import scale_by_adam as scale_by_adam
from funcsci.optim.first_order import scale_by_momentum as scale_by_momentum
from funcsci.optim.first_order import sgd as sgd
from funcsci.optim.least_squares import LeastSquaresResult as LeastSquaresResult
from funcsci.optim.least_squares import least_squares as least_squares
from funcsci.optim.linear_least_squares import linear_least_squares as linear_least_squares
from funcsci.optim.schedules import cosine as cosine
from funcsci.optim.status import Status as Status
from funcsci.optim.transform import Optimizer as Optimizer
from funcsci.optim.transform import Schedule as Schedule
from funcsci.optim.transform import apply_updates as apply_updates
from funcsci.optim.transform import chain as chain
from funcsci.optim.transform import scale_by_learning_rate as scale_by_learning_rate
