"""A convolutional autoencoder takes the noise from MNIST, and is compared with what needs no learning.

Challenge III. Noise of standard deviation 0.5 on brightness from 0 to 1, another one for each picture of each
step. Writes denoising.png to the current folder. `--smoke` takes 800 digits and one epoch.
"""

import torch
from scipy.ndimage import gaussian_filter, median_filter
from scipy.optimize import minimize_scalar

from funcsci import data, examples, models, nn, optim, plot, random, train, tree

NOISE = 0.5
options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device=options.device), 3)
learned, held_out = (data.mnist(one, device=options.device).images for one in (True, False))
if options.smoke:
    learned, held_out = learned[:800], held_out[:250]
epochs, batch_size = (1, 25) if options.smoke else (5, 128)
steps = epochs * (len(learned) // batch_size)

# Down in steps of 2, and up again: both 13 and 14 cells lead to 7, and `output_padding` chooses the way back.
down = [nn.Window(3, stride=2, padding=padding) for padding in (1, 1, 0)]
up = [one._replace(transposed=True, output_padding=one.padding) for one in reversed(down)]
sizes = [nn.conv_output_size(28, *(down + up)[:count])[0] for count in range(7)]
model = models.autoencoder()
params = model.init(keys[0])
print("cells a side:", " -> ".join(map(str, sizes)))
print(f"784 numbers through 64 x 3 x 3 = {64 * 3 * 3}, by {tree.size(params):,} parameters", end="\n\n")
assert models.encoder().apply(params[0], held_out[:1]).shape == (1, 64, sizes[3], sizes[3]) == (1, 64, 3, 3)


def noisy(key, images):
    return images + NOISE * random.normal(key, tuple(images.shape), dtype=images.dtype)


def loss(params, clean, *, key):
    return nn.mse(model.apply(params, noisy(key, clean)), clean)


def psnr(images, clean):
    """Peak signal-to-noise ratio in dB, of the mean squared error and a peak of 1."""
    return float(-10 * torch.log10(nn.mse(images, clean)))


def smoothed(images, width):
    return torch.as_tensor(gaussian_filter(images.cpu(), (0, 0, width, width))).to(images)


def restored(images):
    return torch.cat([model.apply(result.params, some) for some in images.split(500)])


result = train.fit(
    loss, params, optim.adam(optim.one_cycle(2e-3, steps)), learned,
    key=keys[1], batch_size=batch_size, epochs=epochs, drop_last=True,
)  # fmt: skip
print(result, end="\n\n")

# The same noise on digits that it has not seen, and on their negatives, where ink is 0 and paper 1.
grain = noisy(keys[2], torch.zeros_like(held_out))
# The width is chosen on the test images themselves: the best that this filter can do.
width = minimize_scalar(
    lambda width: -psnr(smoothed(held_out + grain, width), held_out), bounds=(0.3, 3), options={"xatol": 0.02}
).x
ways = {
    "noisy": lambda images: images,
    "median of 3 x 3": lambda images: torch.as_tensor(median_filter(images.cpu(), (1, 1, 3, 3))).to(images),
    f"Gaussian of width {width:.2f}": lambda images: smoothed(images, width),
    "autoencoder": restored,
}
pictures = (held_out, 1 - held_out)
found = {name: [psnr(way(clean + grain), clean) for clean in pictures] for name, way in ways.items()}
print(f"{'':<24}{'digits':>9}{'negatives':>12}")
for name, (digits, negatives) in found.items():
    print(f"{name:<24}{digits:>6.2f} dB{negatives:>9.2f} dB")

clean = held_out[:10]
rows = {"noisy": clean + grain[:10], "denoised": restored(clean + grain[:10]), "clean": clean}
plot.rows_figure({name: row.cpu() for name, row in rows.items()}).savefig("denoising.png", dpi=120)
noise, *filters, network = found.values()
assert network[0] > noise[0] + (3 if options.smoke else 12)
assert options.smoke or network[0] > max(filters)[0] + 3
assert network[1] < max(filters)[1]  # it knows digits, and nothing else
