"""What all tests share: checked annotations, float64, the traced backend, reproducible examples.

Switches in the environment:
    FUNCSCI_TYPECHECK=0 leaves the annotations unchecked.
    FUNCSCI_BACKEND=compile (or eager) runs the default tests on another backend than the trace.
    FUNCSCI_REQUIRE_INSTALLED=1 refuses to test a package that is imported from the working tree.
    HYPOTHESIS_PROFILE=ci tries fewer examples.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jaxtyping
import matplotlib
import pytest
import torch

os.environ.setdefault("FUNCSCI_BACKEND", "trace")
matplotlib.use("Agg")

if os.environ.get("FUNCSCI_TYPECHECK", "1") != "0":
    # Before funcsci is imported. As for mypy, an int may stand where a float is asked for.
    jaxtyping.install_import_hook(
        "funcsci", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
    )

import funcsci

hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header() -> str:
    return (
        f"funcsci {funcsci.__version__} from {Path(funcsci.__file__).parent}, torch {torch.__version__}, "
        f"backend {os.environ['FUNCSCI_BACKEND']}"
    )


def pytest_configure(config: pytest.Config) -> None:
    inside = Path(funcsci.__file__).resolve().is_relative_to(config.rootpath.resolve() / "funcsci")
    if inside and os.environ.get("FUNCSCI_REQUIRE_INSTALLED", "0") != "0":
        raise pytest.UsageError(
            f"The tests must run on an installed package. Got {funcsci.__file__}. "
            'Run `python -m pip install ".[test]"`, then `pytest` (not `python -m pytest`) at the top level.'
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Laws are tested to the round-off of double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(autouse=True)
def _wrong_types(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test marked `wrong_types` reaches the library's own checks past those of the annotations."""
    if request.node.get_closest_marker("wrong_types"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
