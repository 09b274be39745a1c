"""Losses may take less and return less; a mask counts what it should; a loss that is no mean is refused."""

import functools
import re

import pytest
import torch

from funcsci import nn, random, tree
from funcsci.train.loss import averaged, check_averages, full

KEY = random.key(71)
MODEL = nn.mlp((2, 5, 1))
PARAMS = MODEL.init(KEY, dtype=torch.float64)
X = random.normal(random.fold_in(KEY, 1), (6, 2), dtype=torch.float64)
BATCH = {"x": X, "y": torch.sin(X[:, :1])}
STATE = {"seen": torch.tensor(3)}


def error(params, batch):
    return MODEL.apply(params, batch["x"]) - batch["y"]


def everything(params, batch, *, state, key, mask):
    value = torch.where(mask[:, None], error(params, batch), 0.0).square().sum() + random.uniform(key)
    return value, ({"seen": state["seen"] + 1}, {"largest": error(params, batch).abs().max()})


class Callable:
    def __call__(self, params, batch):
        return error(params, batch).square().mean()


def call(loss, batch=BATCH, mask=None):
    return full(loss).call(PARAMS, batch, state=STATE, key=KEY, mask=mask)


@pytest.mark.parametrize(
    ("loss", "takes", "batch"),
    [
        (everything, {"state", "key", "mask"}, "required"),
        (lambda params: params, set(), "none"),
        (lambda params, *, key: params, {"key"}, "none"),
        (lambda params, batch=None: params, set(), "optional"),
        (lambda params, batch, state: params, {"state"}, "required"),
        (lambda *arguments: arguments, set(), "required"),
        (lambda params, **options: params, {"state", "key", "mask"}, "none"),
        (functools.partial(everything, mask=torch.ones(6)), {"state", "key", "mask"}, "required"),
        (Callable(), set(), "required"),
        (torch.nn.functional.mse_loss, set(), "required"),
        (torch.dot, set(), "required"),
    ],
)
def test_what_a_loss_takes_is_read_from_its_signature(loss, takes, batch):
    found = full(loss)
    assert (found.takes, found.batch) == (takes, batch)


def test_the_forms_a_loss_may_return():
    value = error(PARAMS, BATCH).square().mean()
    metrics, state = {"a": value * 2}, {"seen": torch.tensor(9)}
    assert call(lambda params, batch: value) == (value, (STATE, {}))
    assert call(lambda params, batch: (value, metrics)) == (value, (STATE, metrics))
    assert call(lambda params, batch: (value, (state, metrics))) == (value, (state, metrics))
    assert call(lambda params, batch=None: value if batch is None else None, batch=None)[0] == value


def test_a_masked_mean_is_the_mean_of_the_samples_that_count():
    mask = torch.tensor([True, False, True, True, False, False])

    def loss(params, batch):
        wrong = error(params, batch)
        return wrong.square().mean(), {"signed": wrong.mean()}

    chosen = tree.map(lambda leaf: leaf[mask], BATCH)
    for mask_, batch in ((mask, chosen), (None, BATCH)):
        found = torch.func.grad_and_value(averaged(full(loss)).call, has_aux=True)(
            PARAMS, BATCH, state=STATE, key=KEY, mask=mask_
        )
        wanted = torch.func.grad_and_value(loss, has_aux=True)(PARAMS, batch)
        grads, (value, (state, metrics)) = found
        assert state == STATE
        torch.testing.assert_close((value, metrics), wanted[1], rtol=1e-13, atol=1e-15)
        for ours, theirs in zip(tree.leaves(grads), tree.leaves(wanted[0]), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("loss", "came"),
    [
        (lambda params, batch: error(params, batch).square().sum(), "for a full batch, and"),
        (lambda params, batch: error(params, batch).norm() / batch["y"].norm(), "as that mean."),
        (lambda params, batch: error(params, batch).square().mean() + batch["y"].max(), "as that mean."),
        (lambda params, batch: error(params, batch).mean() * int(batch["y"].sum()), "sample by sample"),
        (lambda params, batch, *, state: error(params, batch).square().mean(), "Got one with a state"),
    ],
)
def test_a_loss_that_is_no_mean_of_its_samples_is_refused(loss, came):
    with pytest.raises(ValueError, match="so the loss must be the mean of its samples' losses") as raised:
        check_averages(full(loss), PARAMS, BATCH, state=STATE, key=KEY)
    assert came in str(raised.value) and str(raised.value).endswith("or pass drop_last=True.")


def test_a_mean_is_accepted():
    for loss in (
        lambda params, batch: error(params, batch).square().mean(),
        lambda params, batch: (
            error(params, batch).abs().mean() + params["layers"][0]["weight"].square().sum()
        ),
    ):
        check_averages(full(loss), PARAMS, BATCH, state=STATE, key=KEY)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (3, "loss must be a function of params and a batch. Got a int."),
        (lambda params, batch: 1.0, "loss must return a real tensor of shape (), or (value, metrics), or"),
        (lambda params, batch: torch.ones(3), "Got torch.float64, shape (3,). Try its .mean()."),
        (lambda params, batch: torch.tensor(1), "Got torch.int64, shape ()."),
        (
            lambda params, batch: (torch.ones(()), [1]),
            "The metrics of a loss must be a dict of tensors by name.",
        ),
        (lambda params, batch: (torch.ones(()), {"a": 1.0}), "metrics['a'] is a float (1.0)"),
        (
            lambda params, batch: (torch.ones(()), {"loss": X[0, 0]}),
            "must not be called 'loss' or 'step'. Got ['loss']",
        ),
        (lambda params, batch: (torch.ones(()), ({"s": None}, {})), "state['s'] is a NoneType (None)"),
    ],
)
def test_wrong_losses_say_what_must_hold(loss, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call(loss)
