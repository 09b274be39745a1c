"""MNIST: found, checked and downloaded; whatever goes wrong, the cache holds whole files or none."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import importlib
import os
import re
import sys
import threading

import numpy as np
import pooch
import pytest
import torch

from funcsci import tree
from funcsci.data import Images, batches, mnist
from funcsci.storage import DamagedFileError

module = importlib.import_module("funcsci.data.mnist")
REAL = module.DIGESTS
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


class Place:
    """A world with four small files in place of the published ones, and an empty cache."""

    def __init__(self, root):
        self.published, self.cache = root / "published", root / "cache"
        self.published.mkdir()
        self.pixels = np.arange(3 * 28 * 28, dtype=np.int64).reshape(3, 28, 28) * 7 % 256
        self.content = {}
        for part, count in (("train", 3), ("t10k", 2)):
            images = bytes([0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28])
            self.content[f"{part}-images-idx3-ubyte"] = (
                images + self.pixels[:count].astype(np.uint8).tobytes()
            )
            labels = bytes([0, 0, 8, 1, 0, 0, 0, count])
            self.content[f"{part}-labels-idx1-ubyte"] = labels + bytes([5, 0, 4][:count])
        self.put(self.published)

    def put(self, folder, compressed=True):
        folder.mkdir(exist_ok=True, parents=True)
        for name, content in self.content.items():
            path = folder / (f"{name}.gz" if compressed else name)
            path.write_bytes(gzip.compress(content) if compressed else content)
        return folder

    def cached(self):
        return sorted(path.name for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in place.content.items()}
    monkeypatch.setattr(module, "DIGESTS", digests)
    monkeypatch.setattr(module, "MIRRORS", ("http://127.0.0.1:1/",))
    monkeypatch.setattr(pooch, "os_cache", lambda project: place.cache)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FUNCSCI_DATA", raising=False)
    return place


@contextlib.contextmanager
def mirror(folder, monkeypatch, *before):
    """A server of the folder on this computer, after other mirrors."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(module, "MIRRORS", (*before, url))
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("below", ["", "mnist"])
@pytest.mark.parametrize("where", ["folder", "FUNCSCI_DATA", "cache"])
def test_the_files_are_read_from_where_they_are(place, monkeypatch, where, below, compressed):
    root = place.cache if where == "cache" else place.cache.with_name("somewhere")
    place.put(root / below, compressed)
    if where == "FUNCSCI_DATA":
        monkeypatch.setenv("FUNCSCI_DATA", str(root))
    found = mnist(folder=root if where == "folder" else None, download=False, dtype=torch.float64)
    assert isinstance(found, Images)
    np.testing.assert_array_equal(found.images.numpy()[:, 0], place.pixels / 255)
    assert found.labels.tolist() == [5, 0, 4]
    assert found.labels.dtype == torch.int64
    test = mnist(False, folder=root if where == "folder" else None)
    assert test.images.shape == (2, 1, 28, 28)
    assert test.images.dtype == torch.float32


def test_images_are_a_tree_of_samples_on_their_device(place):
    found = mnist(folder=place.published)
    batch = next(batches(found, batch_size=2).start(0)).data
    assert isinstance(batch, Images)
    assert batch.images.shape == (2, 1, 28, 28)
    there = mnist(folder=place.published, device="meta")
    assert {leaf.device.type for leaf in tree.leaves(there)} == {"meta"}


def test_what_is_missing_is_downloaded_once(place, monkeypatch):
    with mirror(place.published, monkeypatch, "http://127.0.0.1:1/"):
        first = mnist()
    assert place.cached() == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    again = mnist(download=False)
    assert all(map(torch.equal, first, again))
    assert first.labels.tolist() == [5, 0, 4]


def test_a_file_that_a_server_unpacked_on_its_way_is_taken(place, monkeypatch):
    for name, content in place.content.items():
        (place.published / f"{name}.gz").write_bytes(content)
    with mirror(place.published, monkeypatch):
        assert mnist().labels.tolist() == [5, 0, 4]


@pytest.mark.parametrize(
    "damage",
    [lambda stored: stored[:-20], lambda stored: gzip.compress(gzip.decompress(stored)[:-1] + b"\1")],
    ids=["truncated", "altered"],
)
def test_a_damaged_download_leaves_the_cache_clean(place, monkeypatch, damage):
    path = place.published / f"{LABELS}.gz"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with mirror(place.published, monkeypatch) as url:
        message = f"Got it from no mirror: {url}{LABELS}.gz sent a file that is cut short or changed. Look at"
        with pytest.raises(OSError, match=re.escape(message)):
            mnist()
        assert place.cached() == [f"{IMAGES}.gz"]
        path.write_bytes(whole)
        assert mnist().labels.tolist() == [5, 0, 4]


def test_a_download_that_breaks_off_leaves_the_cache_clean(place, monkeypatch):
    class Interrupted:
        def __init__(self, **_):
            pass

        def __call__(self, url, path, _):
            with open(path, "wb") as file:
                file.write(b"\x1f\x8b half")
            raise KeyboardInterrupt

    monkeypatch.setattr(pooch, "HTTPDownloader", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        mnist()
    assert place.cached() == []


def test_without_a_network_the_remedy_is_a_file_by_hand(place):
    with pytest.raises(OSError, match="must be on this computer or be downloaded") as found:
        mnist()
    message = str(found.value)
    assert f"Got it from no mirror: http://127.0.0.1:1/{IMAGES}.gz: ConnectionError: " in message
    assert f"Or: Download http://127.0.0.1:1/{IMAGES}.gz by hand, and set the environment variable" in message
    assert place.cached() == []


def test_a_cache_that_cannot_be_written_is_named(place):
    place.cache.write_text("a file in the way")
    with pytest.raises(OSError, match=re.escape(f"Look at the network and at '{place.cache / 'mnist'}'.")):
        mnist()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_damaged_file_is_named_and_in_the_cache_replaced(place, monkeypatch, suffix):
    place.put(place.cache, compressed=bool(suffix))
    path = place.cache / f"{LABELS}{suffix}"
    content = place.content[LABELS][:-1] + b"\x09"
    path.write_bytes(gzip.compress(content) if suffix else content)
    digest = hashlib.sha256(content).hexdigest()
    message = f"Got {str(path)!r}: its SHA-256 is {digest}, where that of {LABELS} is "
    for arguments in ({"download": False}, {"folder": place.cache}):
        with pytest.raises(DamagedFileError, match=re.escape(message)):
            mnist(**arguments)
    assert path.is_file()
    with mirror(place.published, monkeypatch):
        assert mnist().labels.tolist() == [5, 0, 4]
    assert (path.exists(), f"{LABELS}.gz" in place.cached()) == (False, True)


def test_a_wrong_magic_number_is_told_apart_from_an_altered_file(place):
    (place.published / f"{IMAGES}.gz").write_bytes(gzip.compress(b"<html>"))
    with pytest.raises(DamagedFileError, match="it begins with 3c 68 74 6d, where an IDX file has"):
        mnist(folder=place.published)


def test_missing_files_say_where_they_were_looked_for(place, monkeypatch):
    nowhere = place.cache / "nothing"
    message = (
        f"folder must hold {IMAGES}.gz or {IMAGES}. Got folder={str(nowhere)!r}, which does not. Download"
    )
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        mnist(folder=nowhere)
    monkeypatch.setenv("FUNCSCI_DATA", str(nowhere))
    message = f"Got download=False, and looked in FUNCSCI_DATA={str(nowhere)!r} and in the cache"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        mnist(download=False)


def test_without_pooch_the_remedy_is_its_installation(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=re.escape('Run `pip install "funcsci[data]"`. Or: Download')):
        mnist()
    with pytest.raises(FileNotFoundError, match="in the cache 'None'|in the cache None"):
        mnist(download=False)
    assert mnist(folder=place.published).labels.tolist() == [5, 0, 4]


@pytest.mark.wrong_types
def test_a_wrong_dtype_or_device_is_refused(place):
    with pytest.raises(ValueError, match="dtype must be torch.float32 or torch.float64"):
        mnist(folder=place.published, dtype=torch.int64)
    with pytest.raises(ValueError, match="device must name a device"):
        mnist(folder=place.published, device="nowhere")


def _real_files() -> bool:
    roots = [os.environ.get("FUNCSCI_DATA"), pooch.os_cache("funcsci")]
    return all(any(module._find(name, module.Path(root)) for root in roots if root) for name in REAL)


@pytest.mark.skipif(not _real_files(), reason="MNIST is neither in FUNCSCI_DATA nor in the cache")
def test_the_published_files_hold_what_is_known_of_them():
    train, test = mnist(download=False), mnist(False, download=False)
    assert train.images.shape == (60_000, 1, 28, 28)
    assert torch.bincount(train.labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mean, std = float(train.images.double().mean()), float(train.images.double().std())
    assert (round(mean, 4), round(std, 4)) == (0.1307, 0.3081)
    assert (float(train.images.min()), float(train.images.max())) == (0.0, 1.0)
