"""The VGG and the autoencoder: sizes, parameters, torch's own layers, messages."""

import re

import pytest
import torch

from funcsci import models, nn, random, tree

KEY = random.key(6)


def test_vgg_is_the_courses_network():
    """The same 14 layers as torch's Sequential, by their weights and by their values in both modes."""
    block = lambda i, o: [  # noqa: E731
        torch.nn.Conv2d(i, o, 3, padding=1), torch.nn.BatchNorm2d(o), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
    ]  # fmt: skip
    layers = [*block(1, 32), *block(32, 64), *block(64, 128), torch.nn.Flatten(), torch.nn.Linear(1152, 10)]
    module = torch.nn.Sequential(*layers)
    model = models.vgg()
    params, state = model.init(KEY)
    weights = {
        f"{index}.{name}": leaf
        for index, both in enumerate(zip(params, state, strict=True))
        for part in both
        for name, leaf in part.items()
    }
    module.load_state_dict(weights)
    x = random.uniform(KEY, (3, 1, 28, 28))
    y, after = model.apply(params, state, x, train=True)
    torch.testing.assert_close(y, module.train()(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(after[9]["running_var"], module[9].running_var, rtol=1e-12, atol=1e-12)
    z, _ = model.apply(params, after, x, train=False)
    torch.testing.assert_close(z, module.eval()(x), rtol=0, atol=1e-12)
    assert tree.size(params) == sum(p.numel() for p in module.parameters()) == 104_650


def test_the_autoencoder_narrows_to_three_by_three_by_64():
    model = models.autoencoder()
    params = model.init(KEY)
    x = random.uniform(KEY, (2, 1, 28, 28))
    middle = models.encoder().apply(params[0], x)
    assert middle.shape == (2, 64, 3, 3)
    torch.testing.assert_close(
        models.decoder().apply(params[1], middle), model.apply(params, x), rtol=0, atol=1e-13
    )
    assert model.apply(params, x).shape == x.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.vgg((1, 32, 0)), "channels must hold positive widths. Got channels=(1, 32, 0)."),
        (lambda: models.vgg((1, 8, 8, 8), size=7), "must fit into its padded input."),
        (lambda: models.vgg(classes=0), "classes must be at least 1."),
        (
            lambda: models.autoencoder((1, 8, 8)),
            "channels must have four entries, of the image and after each",
        ),
        (
            lambda: nn.stateful(models.vgg()).apply(
                *models.vgg().init(KEY), torch.zeros(2, 3, 28, 28), train=False
            ),
            "x must have 1 channels in dimension -3. Got x of shape (2, 3, 28, 28), with 3.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
