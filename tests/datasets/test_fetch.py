"""Fetched data sets, from a server on loopback that stands for the real ones."""

import hashlib
import http.server
import io
import sys
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from lungestimators import fetch_lung_disease, fetch_pneumoniamnist
from lungestimators.datasets import fetch as datasets


@pytest.fixture
def serve():
    """Serve bytes under any path; returns a function (bytes, port) -> address and visits."""
    servers = []

    def start(content, port=0):
        visits = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                visits.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/octet-stream")
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("localhost", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://localhost:{server.server_port}", visits

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def medmnist_file(serve, monkeypatch):
    buffer = io.BytesIO()
    arrays = {}
    for split, n in (("train", 6), ("val", 3), ("test", 2)):
        arrays[f"{split}_images"] = np.full((n, 28, 28), n, np.uint8)
        arrays[f"{split}_labels"] = np.arange(n, dtype=np.uint8)[:, None] % 2
    np.savez(buffer, **arrays)
    address, visits = serve(buffer.getvalue())
    monkeypatch.setattr(datasets, "_PNEUMONIAMNIST", f"{address}/pneumoniamnist.npz")
    md5 = hashlib.md5(buffer.getvalue()).hexdigest()
    monkeypatch.setattr(datasets, "_PNEUMONIAMNIST_MD5", md5)
    return visits


def test_pneumoniamnist_is_downloaded_once(medmnist_file, tmp_path):
    children = fetch_pneumoniamnist(data_home=tmp_path)
    assert children.data.shape == (11, 28, 28)
    assert children.target.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1]
    assert children.split.tolist() == ["train"] * 6 + ["val"] * 3 + ["test"] * 2
    assert "CC BY 4.0" in children.DESCR
    X, y = fetch_pneumoniamnist(data_home=tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(X, children.data)
    np.testing.assert_array_equal(y, children.target)
    assert len(medmnist_file) == 1


def test_a_wrong_checksum_keeps_nothing(medmnist_file, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_PNEUMONIAMNIST_MD5", "0" * 32)
    with pytest.raises(OSError, match=r"could not be downloaded: .*hash"):
        fetch_pneumoniamnist(data_home=tmp_path)
    assert list((tmp_path / "lungestimators").iterdir()) == []


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_PNEUMONIAMNIST", "http://localhost:9/pneumoniamnist.npz")
    with pytest.raises(OSError, match="download it elsewhere"):
        fetch_pneumoniamnist(data_home=tmp_path)


def test_without_kaggles_client_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(ImportError, match=r"pip install 'lungestimators\[fetch\]'"):
        fetch_lung_disease(data_home=tmp_path)


@pytest.mark.parametrize("fetch", [fetch_pneumoniamnist, fetch_lung_disease])
def test_nothing_is_downloaded_that_may_not_be(fetch, tmp_path):
    with pytest.raises(OSError, match="download_if_missing=False"):
        fetch(data_home=tmp_path, download_if_missing=False)


@pytest.fixture
def kaggle(serve, monkeypatch, tmp_path):
    """The client's own test environment: a server at localhost:7777."""
    buffer, digests = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w") as archive:
        for split in ("train", "test"):
            for number, name in enumerate(("Covid", "Normal", "Viral Pneumonia")):
                png = io.BytesIO()
                grey = 10 * number + (split == "test")
                Image.fromarray(np.full((8, 8), grey, np.uint8)).save(png, "PNG")
                archive.writestr(f"Covid19-dataset/{split}/{name}/01.png", png.getvalue())
                if split == "train":
                    digests.append(hashlib.sha256(png.getvalue()).hexdigest())
    digest = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
    monkeypatch.setattr(datasets, "_LUNG_DISEASE_TRAIN", digest)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    _, visits = serve(buffer.getvalue(), port=7777)
    return visits


def test_the_lung_disease_set_is_downloaded_once(kaggle, tmp_path):
    lungs = fetch_lung_disease(data_home=tmp_path)
    assert lungs.target_names == ["Covid", "Normal", "Viral Pneumonia"]
    assert lungs.split.tolist() == ["train"] * 3 + ["test"] * 3
    assert "leaks" in lungs.DESCR
    n_visits = len(kaggle)
    paths, y = fetch_lung_disease(data_home=tmp_path, return_X_y=True)
    assert y.tolist() == 2 * ["Covid", "Normal", "Viral Pneumonia"]
    assert paths.tolist() == lungs.data.tolist()
    assert len(kaggle) == n_visits > 0


def test_other_images_than_those_known_are_refused(kaggle, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_LUNG_DISEASE_TRAIN", "0" * 64)
    with pytest.raises(OSError, match="checksum"):
        fetch_lung_disease(data_home=tmp_path)
    assert list((tmp_path / "lungestimators").iterdir()) == []
