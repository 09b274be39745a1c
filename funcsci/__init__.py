"""Scientific deep learning in pure functions, on torch.func.

Models are pure functions over parameter pytrees, derivatives are transforms of functions, and a
training step is one compiled program.
"""

__version__ = "0.1.0"
