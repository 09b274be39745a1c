"""From a pure function to a program.

This room decides how a function runs, never what it computes: the same call with another backend
gives the same numbers to round-off. Loops, training and derivatives live elsewhere.
"""

from funcsci.compile.backends import choose as choose
from funcsci.compile.backends import compiler as compiler
from funcsci.compile.jit import Compilation as Compilation
from funcsci.compile.jit import Jitted as Jitted
from funcsci.compile.jit import compilations as compilations
from funcsci.compile.jit import inside_transform as inside_transform
from funcsci.compile.jit import jit as jit
from funcsci.compile.repeat import repeat as repeat
from funcsci.compile.trace import ImpureFunctionError as ImpureFunctionError
