"""The VGG of the course learns MNIST: sizes first, then five epochs, then its accuracy in evaluation mode.

Exercises 5.3 and 5.4. Writes mnist.png to the current folder. `--seed N` is another run; FUNCSCI_SMOKE=1
takes 2,000 digits and one epoch. The digits are those of FUNCSCI_DATA, or of the cache, or are downloaded.
"""

import argparse
import os

import torch

from funcsci import data, models, nn, optim, random, train
from funcsci.compile import jit

SMOKE = bool(os.environ.get("FUNCSCI_SMOKE"))
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
options = parser.parse_args()

sizes = [nn.conv_output_size((28, 28), *models.VGG_BLOCK * blocks) for blocks in range(4)]
print(f"Through the blocks: {' -> '.join(f'{height} x {width}' for height, width in sizes)}")
print(f"Flattened: 128 x 3 x 3 = {128 * 3 * 3} numbers")

keys = random.split(random.key(options.seed))
model = models.vgg()
params, state = model.init(keys[0], device=options.device)
print(nn.summary(model, keys[0], torch.zeros(64, 1, 28, 28)), end="\n\n")

digits = {name: data.mnist(name == "train", device=options.device) for name in ("train", "test")}
if SMOKE:
    digits = {name: data.Images(found.images[:2000], found.labels[:2000]) for name, found in digits.items()}
steps = len(digits["train"].labels) // 64  # of an epoch; a digit of a short batch comes in another epoch


def loss(params, batch, *, state):
    logits, state = model.apply(params, state, batch.images, train=True)
    return nn.cross_entropy(logits, batch.labels), (state, {})


@jit
def correct(params, state, images, labels):
    logits, _ = model.apply(params, state, images, train=False)
    return (logits.argmax(1) == labels).sum()


def evaluate(params, *, state):
    """The share of digits that are recognised, with the running statistics."""
    return {
        f"{name} accuracy": sum(
            correct(params, state, images, labels)
            for images, labels in zip(found.images.split(1000), found.labels.split(1000), strict=True)
        )
        / len(found.labels)
        for name, found in digits.items()
    }


result = train.fit(
    loss, params, optim.adam(1e-3), digits["train"], state=state, key=keys[1], batch_size=64,
    epochs=1 if SMOKE else 5, drop_last=True, evaluate=evaluate, report_every=steps,
    monitor="test accuracy", mode="max",
)  # fmt: skip

print(result, end="\n\n")
known, others = result.reports["train accuracy"].tolist(), result.reports["test accuracy"].tolist()
for epoch, (one, other) in enumerate(zip(known, others, strict=True), 1):
    print(f"epoch {epoch}: {one:.2%} of the digits to learn from, {other:.2%} of the others")
result.plot("mnist.png")
assert others[-1] > (0.5 if SMOKE else 0.985)
