"""The course's models in both styles, pure functions and `torch.nn.Module`, side by side.

The room holds the programs, and measures how alike their numbers are and what a step of each costs. What
takes a module along into the library, or a tree out of it, is `funcsci.interop`.
"""

from funcsci.compare.comparison import Comparison as Comparison
from funcsci.compare.lines import lines_of_code as lines_of_code
from funcsci.compare.lines import program_lines as program_lines
from funcsci.compare.measure import Cost as Cost
from funcsci.compare.pair import Run as Run
from funcsci.compare.registry import TWINS as TWINS
from funcsci.compare.side_by_side import compare as compare
from funcsci.compare.twin import FunctionalProgram as FunctionalProgram
from funcsci.compare.twin import ModuleProgram as ModuleProgram
from funcsci.compare.twin import Samples as Samples
from funcsci.compare.twin import Twin as Twin
