"""The bridge: torch's modules and their files, and arrays of NumPy and JAX, to parameter trees and back.

Whatever was made elsewhere comes in here, once, before a run, and goes out after it. The room does not hold
layers (`funcsci.nn`) or files of the library's own (`funcsci.train`, `funcsci.pinn`).
"""

from funcsci.interop.arrays import from_numpy as from_numpy
from funcsci.interop.arrays import to_numpy as to_numpy
from funcsci.interop.modules import from_module as from_module
from funcsci.interop.modules import to_module as to_module
from funcsci.interop.names import load_state_dict as load_state_dict
from funcsci.interop.names import state_dict as state_dict
