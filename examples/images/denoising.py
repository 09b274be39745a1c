"""A convolutional autoencoder takes the noise from MNIST, and is compared with what needs no learning.

Challenge III. Noise of standard deviation 0.5 on brightness from 0 to 1, another one for each picture of each
step. Writes denoising.png to the current folder. FUNCSCI_SMOKE=1 takes 2,000 digits and one epoch.
"""

import argparse
import os

import scipy.ndimage
import scipy.optimize
import torch

from funcsci import data, models, nn, optim, plot, random, train

SMOKE = bool(os.environ.get("FUNCSCI_SMOKE"))
NOISE = 0.5
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
options = parser.parse_args()


def noisy(key, images):
    return images + NOISE * random.normal(key, tuple(images.shape), dtype=images.dtype)


def psnr(images, clean):
    """Peak signal-to-noise ratio in dB, of the mean squared error and a peak of 1."""
    return float(-10 * torch.log10(nn.mse(images, clean)))


def loss(params, clean, *, key):
    return nn.mse(model.apply(params, noisy(key, clean)), clean)


images = {name: data.mnist(name == "train", device=options.device).images for name in ("train", "test")}
if SMOKE:
    images = {name: found[:2000] for name, found in images.items()}
epochs, batch_size = (1, 64) if SMOKE else (5, 128)
steps = epochs * (len(images["train"]) // batch_size)
keys = random.split(random.key(options.seed), 3)
model = models.autoencoder()
params = model.init(keys[0], device=options.device)
result = train.fit(
    loss, params, optim.adam(optim.one_cycle(2e-3, steps)), images["train"],
    key=keys[1], batch_size=batch_size, epochs=epochs, drop_last=True,
)  # fmt: skip
print(result, end="\n\n")

clean = images["test"]
blurred = noisy(keys[2], clean)
restored = torch.cat([model.apply(result.params, part) for part in blurred.split(1000)])
array = blurred.cpu().numpy()


def gaussian(width):
    return torch.as_tensor(scipy.ndimage.gaussian_filter(array, (0, 0, width, width)))


# The width is chosen on the test images themselves: the best that this filter can do.
width = scipy.optimize.minimize_scalar(
    lambda width: -psnr(gaussian(width), clean.cpu()), bounds=(0.3, 3), options={"xatol": 0.02}
).x
median = torch.as_tensor(scipy.ndimage.median_filter(array, size=(1, 1, 3, 3)))
found = {
    "noisy": psnr(blurred, clean),
    "median of 3 x 3": psnr(median, clean.cpu()),
    f"Gaussian of width {width:.2f}": psnr(gaussian(width), clean.cpu()),
    "autoencoder": psnr(restored, clean),
}
for name, ratio in found.items():
    print(f"{name:<24} {ratio:6.2f} dB")

rows = {"noisy": blurred[:10], "denoised": restored[:10], "clean": clean[:10]}
plot.rows_figure({name: row.cpu() for name, row in rows.items()}).savefig("denoising.png", dpi=120)
noise, *filters, learned = found.values()
assert learned > noise + (3 if SMOKE else 12)
assert SMOKE or learned > max(filters) + 3
