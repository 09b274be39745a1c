"""Tasks of a developer, each in an environment of its own: `nox -s NAME`.

With `nox --no-venv` a session runs in the environment at hand and installs nothing. `tests` and `tests_torch`
cannot: they test a wheel that they install, so nox refuses them there.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
TORCH = (
    "2.1.2",
    "2.2.2",
    "2.3.1",
    "2.4.1",
    "2.5.1",
    "2.6.0",
    "2.7.1",
    "2.8.0",
    "2.9.1",
    "2.10.0",
    "2.11.0",
    "2.12.1",
    "2.13.0",
    "2.14.1",
    "2.15.0",
)
# Before 2.3 torch is built against NumPy 1, and its C++ extensions import pkg_resources.packaging.
OLD_TORCH = ("2.1.2", "2.2.2")


# A script that trains on MNIST cannot run where the digits are not, and no network is.
HAS_MNIST = """
from funcsci.data import mnist
try:
    mnist()
    print("yes")
except OSError as error:
    print(error)
"""


def install(session: nox.Session, *packages: str, **options: dict[str, str]) -> None:
    """Install into the session's environment, unless it runs in the caller's."""
    if session.virtualenv.venv_backend != "none":
        session.install(*packages, **options)


def build_wheel(session: nox.Session) -> Path:
    """The wheel of the working tree, built in the session's temporary folder."""
    folder = Path(session.create_tmp()).resolve() / "wheel"
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling, the project's metadata and the contracts between the floors."""
    install(session, "-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Static types of the package."""
    install(session, "-e", ".[dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests against the built wheel; arguments after `--` go to pytest."""
    wheel = build_wheel(session)
    session.install(f"{wheel}[test]")
    session.run("pytest", *session.posargs, env={"FUNCSCI_REQUIRE_INSTALLED": "1"})


@nox.session(python="3.11")
@nox.parametrize("torch", [nox.param(version, id=version) for version in TORCH])
def tests_torch(session: nox.Session, torch: str) -> None:
    """The whole suite, slow tests included, with one version of torch."""
    pins = [f"torch=={torch}"]
    pins += ["numpy<2", "setuptools<70"] if torch in OLD_TORCH else []
    constraints = Path(session.create_tmp()).resolve() / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n")
    pinned = {"PIP_CONSTRAINT": str(constraints)}  # in place of one that the caller may have set
    wheel = build_wheel(session)
    # torch.compile imports setuptools, which torch does not ask for on Python 3.11.
    session.install(f"{wheel}[test]", "torch", "setuptools", env=pinned)
    session.run(
        "pytest",
        "-m",
        "slow or not slow",
        *session.posargs,
        env={"FUNCSCI_REQUIRE_INSTALLED": "1"},
    )


@nox.session
def examples(session: nox.Session) -> None:
    """Every script of examples/, small enough to end in seconds, in a temporary folder."""
    install(session, ".")
    scripts = sorted(set(ROOT.glob("examples/**/*.py")) - set(ROOT.glob("examples/problems/*.py")))
    session.chdir(session.create_tmp())
    drawn = {"MPLBACKEND": "Agg"}
    digits = session.run("python", "-c", HAS_MNIST, silent=True)
    for script in scripts:
        if not str(digits).endswith("yes\n") and "data.mnist" in script.read_text():
            session.warn(f"{script.name} is left out: MNIST is neither in FUNCSCI_DATA nor to be downloaded")
        else:
            session.run("python", str(script), "--smoke", env=drawn)
    for problem in sorted(ROOT.glob("examples/problems/*.py")):
        session.run("funcsci", "solve", str(problem), env=drawn)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, where a warning is an error; `-- serve` shows it while you write."""
    install(session, "-e", ".[docs]")
    if "serve" in session.posargs:
        session.run("mkdocs", "serve")
    else:
        site = Path(session.create_tmp()).resolve() / "site"
        session.run("mkdocs", "build", "--strict", "--site-dir", str(site))


@nox.session
def build(session: nox.Session) -> None:
    """The source distribution and the wheel, in dist/."""
    install(session, "build")
    session.run("python", "-m", "build")
