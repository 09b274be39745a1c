"""Losses: torch's values and gradients, their limits, labels out of range, messages."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, optim, random, train
from funcsci.compile import jit

KEY = random.key(21)
reductions = st.sampled_from(["mean", "sum", "none"])
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * random.normal(random.key(60 + seed), shape)


def assert_same(loss, reference, x: torch.Tensor) -> None:
    torch.testing.assert_close(loss(x), reference(x), rtol=1e-12, atol=1e-12)
    leaf = x.clone().requires_grad_()
    reference(leaf).sum().backward()
    gradient = torch.func.grad(lambda x: loss(x).sum())(x)
    torch.testing.assert_close(gradient, leaf.grad, rtol=1e-12, atol=1e-12)


@given(shapes, reductions)
def test_losses_of_numbers_equal_torch(shape, reduction):
    x, y = values(*shape), values(*shape, seed=1)
    cases = {
        nn.mse: lambda x: F.mse_loss(x, y, reduction=reduction),
        nn.mae: lambda x: F.l1_loss(x, y, reduction=reduction),
    }
    for loss, reference in cases.items():
        assert_same(lambda x, loss=loss: loss(x, y, reduction=reduction), reference, x)
    for delta in (0.5, 2.0):
        assert_same(
            lambda x, d=delta: nn.huber(x, y, delta=d, reduction=reduction),
            lambda x, d=delta: F.huber_loss(x, y, delta=d, reduction=reduction),
            x,
        )


@given(shapes, reductions)
def test_binary_losses_equal_torch(shape, reduction):
    z = values(*shape)
    y = random.uniform(KEY, shape)
    assert_same(
        lambda z: nn.binary_cross_entropy_with_logits(z, y, reduction=reduction),
        lambda z: F.binary_cross_entropy_with_logits(z, y, reduction=reduction),
        z,
    )
    assert_same(
        lambda p: nn.binary_cross_entropy(p, y, reduction=reduction),
        lambda p: F.binary_cross_entropy(p, y, reduction=reduction),
        torch.sigmoid(z),
    )


@given(st.integers(1, 4), st.integers(2, 5), shapes, reductions, st.sampled_from([0.0, 0.1, 1.0]))
def test_cross_entropy_equals_torch(batch, classes, size, reduction, smoothing):
    labels = random.randint(KEY, (batch, *size), 0, classes)
    assert_same(
        lambda z: nn.cross_entropy(z, labels, label_smoothing=smoothing, reduction=reduction),
        lambda z: F.cross_entropy(z, labels.long(), label_smoothing=smoothing, reduction=reduction),
        values(batch, classes, *size),
    )


def test_binary_losses_at_their_limits():
    z = torch.tensor([-1e4, -40.0, 0.0, 40.0, 1e4])
    y = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0])
    found = nn.binary_cross_entropy_with_logits(z, y, reduction="none")
    torch.testing.assert_close(found, torch.tensor([0.0, 40.0, 0.6931471805599453, 40.0, 1e4]))
    gradient = torch.func.grad(lambda z: nn.binary_cross_entropy_with_logits(z, y, reduction="sum"))(z)
    torch.testing.assert_close(gradient, torch.sigmoid(z) - y, rtol=1e-14, atol=1e-14)
    certain = nn.binary_cross_entropy(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]), reduction="none")
    assert certain.tolist() == [0.0, 100.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_sure_and_right_answer_keeps_its_loss_and_gradient_in_single_precision(sign):
    z = sign * torch.tensor([10.0, 20.0, 40.0], dtype=torch.float32)
    y = torch.full_like(z, float(sign > 0))

    def loss(z):
        return nn.binary_cross_entropy_with_logits(z, y, reduction="sum")

    exact = torch.log1p(torch.exp(-z.double().abs()))
    found = nn.binary_cross_entropy_with_logits(z, y, reduction="none")
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=0)
    slope = -sign * torch.sigmoid(-z.double().abs())
    torch.testing.assert_close(torch.func.grad(loss)(z).double(), slope, rtol=1e-6, atol=0)


def test_relative_l2_is_the_ratio_of_norms():
    prediction, target = values(3, 4, 5), values(3, 4, 5, seed=1)
    expected = torch.stack(
        [
            torch.linalg.vector_norm(p - t) / torch.linalg.vector_norm(t)
            for p, t in zip(prediction, target, strict=True)
        ]
    )
    for reduction, reference in {"none": expected, "sum": expected.sum(), "mean": expected.mean()}.items():
        found = nn.relative_l2(prediction, target, reduction=reduction)
        torch.testing.assert_close(found, reference, rtol=1e-13, atol=0)
    assert float(nn.relative_l2(2 * target, target)) == pytest.approx(1, rel=1e-14)


def test_a_wrong_label_is_named_where_it_can_be_read_and_is_nan_in_a_program():
    z, labels = values(4, 3), torch.tensor([0, 1, 3, 2])
    message = "labels must lie in [0, 2]. Got 3. There are 3 classes: make the last layer wider."
    with pytest.raises(ValueError, match=re.escape(message)):
        nn.cross_entropy(z, labels)
    with pytest.raises(ValueError, match=re.escape("labels must lie in [0, 2]. Got -1.")):
        torch.func.grad(lambda z: nn.cross_entropy(z, labels - 1))(z[:, :3])
    program = jit(lambda z, labels: nn.cross_entropy(z, labels, reduction="none"), backend="trace")
    found = program(z, torch.tensor([0, 1, 2, 2]))
    torch.testing.assert_close(found, nn.cross_entropy(z, torch.tensor([0, 1, 2, 2]), reduction="none"))
    assert program(z, labels).isnan().tolist() == [False, False, True, False]


def test_a_run_on_a_wrong_label_stops_and_says_where():
    model = nn.linear(2, 3)

    def loss(params, batch):
        return nn.cross_entropy(model.apply(params, batch["x"]), batch["y"])

    data = {"x": values(6, 2), "y": torch.tensor([0, 1, 2, 0, 1, 7])}
    result = train.fit(
        loss, model.init(KEY), optim.sgd(0.1), data, batch_size=2, steps=9, shuffle=False, progress_bar=False
    )
    assert not result.status.converged and "loss" in result.status.reason


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.mse(torch.zeros(4), torch.zeros(4, 1)),
            ValueError,
            "prediction and target must have one shape: broadcasting would pair every prediction with every "
            "target. Got (4,) and (4, 1). Reshape one of them.",
        ),
        (
            lambda: nn.mae(torch.zeros(1), torch.zeros(1), reduction="avg"),
            ValueError,
            "reduction must be one of 'mean', 'sum', 'none'. Got reduction='avg'.",
        ),
        (lambda: nn.huber(torch.zeros(1), torch.zeros(1), delta=0), ValueError, "delta must be positive."),
        (
            lambda: nn.binary_cross_entropy(torch.tensor([1.5]), torch.tensor([1.0])),
            ValueError,
            "probability must lie in [0, 1]. Got 1.5. Pass sigmoid(logits), or use",
        ),
        (
            lambda: nn.binary_cross_entropy(torch.tensor([torch.nan]), torch.tensor([1.0])),
            ValueError,
            "probability must lie in [0, 1]. Got nan.",
        ),
        (
            lambda: nn.binary_cross_entropy_with_logits(torch.tensor([1.5]), torch.tensor([-1.0])),
            ValueError,
            "target must lie in [0, 1]. Got -1.0. Pass 0 for one class and 1 for the other.",
        ),
        (
            lambda: nn.cross_entropy(torch.zeros(4, 3), torch.zeros(4)),
            TypeError,
            "labels must be integers. Got labels of torch.float64. Try labels.long().",
        ),
        (
            lambda: nn.cross_entropy(torch.zeros(4, 3), torch.zeros(4, 1, dtype=torch.int64)),
            ValueError,
            "Got labels of shape (4, 1) for logits of shape (4, 3).",
        ),
        (
            lambda: nn.cross_entropy(torch.zeros(1, 3), torch.tensor([0]), label_smoothing=2.0),
            ValueError,
            "label_smoothing must be at most 1. Got label_smoothing=2.0.",
        ),
        (
            lambda: nn.relative_l2(torch.tensor(1.0), torch.tensor(1.0)),
            ValueError,
            "target.shape must have samples",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
