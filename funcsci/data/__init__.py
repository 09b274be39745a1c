"""Data on their way to a training step.

This room turns tensors, datasets, files and streams into batches of one shape, in an order that a key
decides; and it holds the data sets of the exercises, drawn from a key or read from their original files. It
knows nothing of losses, models or optimizers.
"""

from funcsci.data.batches import Batch as Batch
from funcsci.data.batches import Batches as Batches
from funcsci.data.batches import batches as batches
from funcsci.data.burgers import burgers as burgers
from funcsci.data.burgers import burgers_solution as burgers_solution
from funcsci.data.burgers import gaussian_random_field as gaussian_random_field
from funcsci.data.datasets import Dataset as Dataset
from funcsci.data.datasets import Stacked as Stacked
from funcsci.data.idx import read_idx as read_idx
from funcsci.data.lorenz import lorenz as lorenz
from funcsci.data.lorenz import lorenz_field as lorenz_field
from funcsci.data.memory_maps import MemoryMapped as MemoryMapped
from funcsci.data.memory_maps import RawFile as RawFile
from funcsci.data.memory_maps import memory_mapped as memory_mapped
from funcsci.data.mnist import Images as Images
from funcsci.data.mnist import mnist as mnist
from funcsci.data.synthetic import noisy_line as noisy_line
from funcsci.data.synthetic import noisy_sine as noisy_sine
from funcsci.data.synthetic import noisy_waves as noisy_waves
from funcsci.data.synthetic import two_blobs as two_blobs
from funcsci.data.windows import windows as windows
