"""Physics-informed neural networks: from an equation to a solution.

This room states problems, chooses points and trial functions, and hands what is left to minimize to
`optim` and `train`. Layers, optimizers and derivatives are made on the floors below.
"""

from funcsci.pinn.oscillator import solve_oscillator as solve_oscillator
from funcsci.pinn.problem import Oscillator as Oscillator
from funcsci.pinn.problem import closed_form as closed_form
from funcsci.pinn.solution import Solution as Solution
