"""Physics-informed neural networks: from an equation to a solution.

This room states problems, chooses points and trial functions, and hands what is left to minimize to
`optim` and `train`. Layers, optimizers and derivatives are made on the floors below.
"""

from funcsci.pinn.conditions import Condition as Condition
from funcsci.pinn.conditions import dirichlet as dirichlet
from funcsci.pinn.conditions import initial as initial
from funcsci.pinn.conditions import neumann as neumann
from funcsci.pinn.conditions import periodic as periodic
from funcsci.pinn.conditions import point as point
from funcsci.pinn.conditions import robin as robin
from funcsci.pinn.domain import Domain as Domain
from funcsci.pinn.field import Field as Field
from funcsci.pinn.ode import ivp as ivp
from funcsci.pinn.ode import ode as ode
from funcsci.pinn.ode import solve_ivp as solve_ivp
from funcsci.pinn.ode import solve_ode as solve_ode
from funcsci.pinn.oscillator import oscillator as oscillator
from funcsci.pinn.oscillator import solve_oscillator as solve_oscillator
from funcsci.pinn.pde import pde as pde
from funcsci.pinn.pde import solve_pde as solve_pde
from funcsci.pinn.problem import Problem as Problem
from funcsci.pinn.solution import Solution as Solution
from funcsci.pinn.solve import solve as solve
from funcsci.pinn.tables import interpolate as interpolate
