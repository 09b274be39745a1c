"""The examples in the docstrings of the installed package print what they say."""

import doctest
import importlib
import pkgutil

import pytest
import torch

import funcsci

MODULES = ["funcsci", *(module.name for module in pkgutil.walk_packages(funcsci.__path__, "funcsci."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    torch.set_default_dtype(torch.float32)  # as a user has it
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
