"""The VGG learns MNIST in five epochs, and is judged on digits it has not seen, in evaluation mode.

Exercise 5.4. Writes mnist.png to the current folder. `--smoke` takes 640 digits and one epoch. The digits are
those of FUNCSCI_DATA, or of the cache, or are downloaded.
"""

from funcsci import data, examples, models, nn, optim, random, train

options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device=options.device))
digits, others = (data.mnist(one, device=options.device) for one in (True, False))
if options.smoke:
    digits, others = (
        data.Images(*(part[:most] for part in one)) for one, most in ((digits, 640), (others, 300))
    )
epochs, batch_size = (1, 16) if options.smoke else (5, 64)
steps = len(digits.labels) // batch_size  # of an epoch; a digit of a short batch comes in another epoch
model = models.vgg()
params, state = model.init(keys[0])
print(f"{len(digits.labels):,} digits to learn from and {len(others.labels):,} others")
print(f"{epochs} x {steps} steps of Adam, learning rate 0.001, each of {batch_size} digits", end="\n\n")


def loss(params, batch, *, state):
    logits, state = model.apply(params, state, batch.images, train=True)
    return nn.cross_entropy(logits, batch.labels), (state, {})


def share_known(params, state, digits, *, train=False):
    """The share of digits that get their right name, a hundred at a time."""
    known = [
        model.apply(params, state, images, train=train)[0].argmax(1) == labels
        for images, labels in zip(digits.images.split(100), digits.labels.split(100), strict=True)
    ]
    return sum(int(one.sum()) for one in known) / len(digits.labels)


def evaluate(params, *, state):
    """After each epoch, on as many of the digits that it learns from as there are others."""
    learned = data.Images(*(one[: len(others.labels)] for one in digits))
    return {
        "accuracy, learned digits": share_known(params, state, learned),
        "accuracy, other digits": share_known(params, state, others),
    }


result = train.fit(
    loss, params, optim.adam(1e-3), digits, state=state, key=keys[1], batch_size=batch_size, epochs=epochs,
    drop_last=True, evaluate=evaluate, report_every=steps, monitor="accuracy, other digits", mode="max",
)  # fmt: skip
print(result, end="\n\n")
columns = [result.reports[f"accuracy, {name} digits"].tolist() for name in ("learned", "other")]
for epoch, (one, share) in enumerate(zip(*columns, strict=True), 1):
    print(
        f"after epoch {epoch}: {one:.2%} of {len(others.labels):,} learned digits, {share:.2%} of the others"
    )
known = share_known(result.params, result.state, digits)
print(f"in the end, of all {len(digits.labels):,} that it has learned from: {known:.2%}")
result.plot("mnist.png")
assert share > (0.5 if options.smoke else 0.985) and (options.smoke or known > 0.985)

# The same network and the same digits in another company: sorted, a hundred of one kind are together.
order = others.labels.argsort(stable=True)
alike = data.Images(others.images[order], others.labels[order])
companies = {"as they come": others, "sorted by digit": alike}
print(f"\n{'the others, a hundred at a time':<34}{'evaluation mode':>15}{'training mode':>16}")
shares = []
for name, found in companies.items():
    judged, alone = (share_known(result.params, result.state, found, train=mode) for mode in (True, False))
    shares.append(judged)
    print(f"  {name:<32}{alone:>15.2%}{judged:>16.2%}")
    assert abs(alone - share) < 1e-3  # whatever the company
print("In training mode a digit is judged by the statistics of those beside it.")
assert shares[1] < shares[0]
