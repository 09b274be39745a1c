"""The oscillator and Poisson's equation in jinns, float64, conditions built in: error against time as JSON.

    python benchmarks/jinns_solve.py oscillator|poisson natural_gradient|ssbroyden ITERATIONS

`rivals.py` runs it. jinns trains in one compiled loop, so the time of an iteration is read on a straight line
through its own training time; set-up and compiling come before, imports do not count. Times are the
processor's, taken for the whole and shared out as the wall's.
"""

import contextlib
import io
import itertools
import json
import re
import sys
import time

import equinox
import jax
import jinns
import numpy
import optax
from jax import numpy as jnp
from jinns.solver import GetJinnsVariableName

jax.config.update("jax_enable_x64", True)

ENTRIES = 200
"""Iterations at which the error is measured."""
REGULARIZATION = {"oscillator": 1e-13, "poisson": 1e-10}
"""Of the natural gradient's Gram matrix: the best of several on these two problems."""
KEY = jax.random.PRNGKey(0)
SPAN = (0.0, 2 * jnp.pi)


class Oscillator(jinns.loss.ODE):
    def equation(self, t, u, params):
        def at(s):
            return u(s[None], params)[0]

        return (jax.grad(jax.grad(at))(t[0]) + at(t[0]))[None]


class Poisson(jinns.loss.PDEStatio):
    def equation(self, x, u, params):
        hessian = jax.hessian(lambda s: u(s, params)[0])(x)
        source = 2 * jnp.pi**2 * jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])
        return (jnp.trace(hessian) + source)[None]


def layers(*widths):
    """Linear layers with tanh between them."""
    found = []
    for before, after in itertools.pairwise(widths):
        found += [(equinox.nn.Linear, before, after), (jax.nn.tanh,)]
    return tuple(found[:-1])


def oscillator():
    """The network 1-32-32-1 on 64 equally spaced points."""
    function, start = jinns.nn.PINN_MLP.create(
        key=KEY,
        eq_type="ODE",
        eqx_list=layers(1, 32, 32, 1),
        output_transform=lambda t, y, params: 1 + (t / SPAN[1]) ** 2 * y,
    )
    params = jinns.parameters.Params(nn_params=start, eq_params={})
    data = jinns.data.DataGeneratorODE(key=KEY, nt=64, tmin=SPAN[0], tmax=SPAN[1], method="grid")
    weights = jinns.loss.LossWeightsODE(dyn_loss=1.0)
    loss = jinns.loss.LossODE(u=function, dynamic_loss=Oscillator(), loss_weights=weights, params=params)
    t = numpy.linspace(*SPAN, 1000)[:, None]
    return function, params, data, loss, t, numpy.cos(t[:, 0])


def poisson():
    """The network 2-64-1 on 30 x 30 points."""
    function, start = jinns.nn.PINN_MLP.create(
        key=KEY,
        eq_type="PDEStatio",
        eqx_list=layers(2, 64, 1),
        output_transform=lambda x, y, params: 16 * x[0] * (1 - x[0]) * x[1] * (1 - x[1]) * y,
    )
    params = jinns.parameters.Params(nn_params=start, eq_params={})
    data = jinns.data.CubicMeshPDEStatio(
        key=KEY, n=900, nb=None, dim=2, min_pts=(0.0, 0.0), max_pts=(1.0, 1.0), method="grid"
    )
    weights = jinns.loss.LossWeightsPDEStatio(dyn_loss=1.0)
    loss = jinns.loss.LossPDEStatio(u=function, dynamic_loss=Poisson(), loss_weights=weights, params=params)
    line = numpy.linspace(0.0, 1.0, 101)
    x = numpy.stack(numpy.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return function, params, data, loss, x, numpy.sin(numpy.pi * x).prod(1)


def get_value(loss, batch):
    """jinns wants functions that close over nothing, with such names."""
    return lambda params: loss.evaluate(params, batch)[0]


def get_gradient(loss, batch):
    return jax.grad(lambda params: loss.evaluate(params, batch)[0])


def optimizer(problem: str, method: str):
    """The optimizer, and what `jinns.solve` wants to hear with it."""
    if method == "natural_gradient":
        search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=15)
        return jinns.optimizers.vanilla_ngd(gram_reg=REGULARIZATION[problem], linesearch=search), {}

    more = {
        "value": GetJinnsVariableName("train_loss_value"),
        "grad_pt": GetJinnsVariableName("grads"),
        "value_fn": get_value,
        "grad_fn": get_gradient,
    }
    return jinns.optimizers.scale_by_SSBroyden_family(), {"extra_optax_args_and_kwargs": more}


def main(problem: str, method: str, iterations: int) -> None:
    begun, processor, told = time.perf_counter(), time.process_time(), io.StringIO()
    function, params, data, loss, points, exact = {"oscillator": oscillator, "poisson": poisson}[problem]()
    search, more = optimizer(problem, method)
    with contextlib.redirect_stdout(told):
        found = jinns.solve(
            n_iter=iterations,
            init_params=params,
            data=data,
            loss=loss,
            optimizer=search,
            print_loss_every=10**9,
            tracked_params=jax.tree.map(lambda _: True, params),
            **more,
        )
        jax.effects_barrier()
    total = time.perf_counter() - begun
    busy = (time.process_time() - processor) / total
    training = float(re.search(r"Training took\s+([\d.e+-]+)", told.getvalue())[1])
    done = int((found[1] != 0).sum())  # it stops early where the parameters turn nan
    points, values = jnp.asarray(points), jax.jit(lambda p: jax.vmap(lambda x: function(x, p))(points)[:, 0])
    size = numpy.linalg.norm(exact) if problem == "oscillator" else numpy.sqrt(len(exact))
    curve = []
    for step in range(0, done, max(1, done // ENTRIES)):
        now = values(jax.tree.map(lambda history, step=step: history[step], found[6]))
        error = float(numpy.linalg.norm(numpy.asarray(now) - exact) / size)
        curve.append((busy * (total - training + training * (step + 1) / done), error))
    print(json.dumps(curve))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
