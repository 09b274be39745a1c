"""Points drawn anew where an equation is missed still measure its mean over the domain."""

import math

import pytest
import torch

from funcsci import pinn, random
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task


def test_refined_points_lie_inside_where_the_residual_is_and_keep_the_mean() -> None:
    problem = pinn.pde(
        lambda u, x: u.t + u.x + torch.exp(-200 * x**2),
        {"x": (-1.0, 1.0), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: 0 * x), pinn.dirichlet("x", 0.0, side="lower")],
    )
    task = make_task(problem, Settings(random.key(0)), NetworkSettings((4,)))
    params = task.trial.init(random.key(0), dtype=torch.float64)
    last = {name: 0 * leaf for name, leaf in params["layers"][-1].items()}
    params = {**params, "layers": [*params["layers"][:-1], last]}  # u = 0, so the residual is the bump
    training = task.training(4_000, random.key(1), "sobol")
    ((_, points),) = task.refined(training, params, random.key(2))
    x = points.x[:, 0]
    assert len(x) == 4_000 and float(points.weight.sum()) == pytest.approx(1.0)
    assert bool((points.x >= torch.tensor([-1.0, 0.0])).all() & (points.x <= 1.0).all())
    assert float((x.abs() < 0.15).double().mean()) > 0.4  # 0.15 if they were even
    mean = float((points.weight * torch.exp(-200 * x**2)).sum())
    assert mean == pytest.approx(math.sqrt(math.pi / 200) / 2, rel=0.1)
