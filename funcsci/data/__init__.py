"""Data on their way to a training step.

This room turns tensors, datasets and streams into batches of one shape, in an order that a key decides. It
knows nothing of losses, models or optimizers.
"""

from funcsci.data.batches import Batch as Batch
from funcsci.data.batches import Batches as Batches
from funcsci.data.batches import batches as batches
