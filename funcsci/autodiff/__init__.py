"""Derivatives of functions.

This room turns functions into their derivatives and knows nothing of networks or equations. What
is differentiated, and at which points, is decided on the floors above.
"""

from funcsci.autodiff.custom import custom_function as custom_function
from funcsci.autodiff.custom import x_sin_x as x_sin_x
from funcsci.autodiff.directions import Operator as Operator
from funcsci.autodiff.nested import derivative as derivative
from funcsci.autodiff.nested import divergence as divergence
from funcsci.autodiff.nested import gradient as gradient
from funcsci.autodiff.nested import hessian as hessian
from funcsci.autodiff.nested import jacobian as jacobian
from funcsci.autodiff.nested import laplacian as laplacian
from funcsci.autodiff.nested import partial as partial
from funcsci.autodiff.nested import per_sample_gradient as per_sample_gradient
from funcsci.autodiff.nested import value_and_grad as value_and_grad
from funcsci.autodiff.partials import partials as partials
