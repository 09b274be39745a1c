"""Logistic regression: SciPy's coefficients, the stable form, separable blobs."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import torch

from funcsci import data, models, nn, optim, random, train, tree

KEY = random.key(4)


def overlapping() -> dict[str, torch.Tensor]:
    return data.two_blobs(KEY, centers=((-1.0, 0.5), (1.0, -0.5)), std=1.5)


def test_the_coefficients_are_those_of_scipy():
    blobs = overlapping()
    x, y = blobs["x"].numpy(), blobs["y"].numpy()

    def objective(theta):
        z = x @ theta[:2] + theta[2]
        return np.mean(np.logaddexp(0, z) - y * z) + 0.01 / 2 * np.sum(theta[:2] ** 2)

    expected = scipy.optimize.minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x

    def loss(params):
        return models.logistic_loss(params, blobs["x"], blobs["y"].to(blobs["x"].dtype), l2=0.01)

    start = tree.map(torch.zeros_like, models.logistic_regression(2).init(KEY))
    result = optim.minimize(loss, start, method="bfgs")
    assert result.status.converged
    found = torch.cat([result.params["weight"][0], result.params["bias"]])
    torch.testing.assert_close(found, torch.as_tensor(expected), rtol=1e-6, atol=1e-7)


def test_by_hand_it_separates_the_courses_blobs():
    """The sigmoid and the cross-entropy written out, and plain steps along the gradient."""
    blobs = data.two_blobs(KEY)
    x, y = blobs["x"], blobs["y"].to(blobs["x"].dtype)
    model = models.logistic_regression(2)

    def loss(params):
        return models.cross_entropy_by_hand(models.sigmoid(model.apply(params, x)), y)

    result = train.fit(loss, model.init(KEY), optim.sgd(0.1), steps=200, progress_bar=False)
    probability = models.sigmoid(model.apply(result.params, x))
    assert ((probability > 0.5) == (y > 0.5)).double().mean() > 0.95


def test_sigmoid_is_scipys():
    z = torch.linspace(-800, 800, 401)
    expected = torch.as_tensor(scipy.special.expit(z.numpy()))
    torch.testing.assert_close(models.sigmoid(z), expected, rtol=1e-14, atol=1e-300)


def test_the_stable_loss_is_the_written_one_where_that_is_finite():
    z, y = random.normal(KEY, (50,)), random.bernoulli(KEY, 0.5, (50,)).to(torch.float64)
    written = models.cross_entropy_by_hand(models.sigmoid(z), y)
    torch.testing.assert_close(written, nn.binary_cross_entropy_with_logits(z, y), rtol=1e-13, atol=0)
    far = torch.tensor([800.0])
    params = {"weight": torch.ones(1, 1), "bias": torch.zeros(1)}
    assert torch.isinf(models.cross_entropy_by_hand(models.sigmoid(far), torch.zeros(1)))
    assert models.logistic_loss(params, far[:, None], torch.zeros(1)) == pytest.approx(800)
    gradient = torch.func.grad(models.logistic_loss)(params, far[:, None], torch.zeros(1))
    assert gradient["weight"] == pytest.approx(800)
