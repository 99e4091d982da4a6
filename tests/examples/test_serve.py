"""The example of a service: real requests over real connections, and no file is left behind."""

import concurrent.futures
import contextlib
import importlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from sklearn.model_selection import FixedThresholdClassifier

import lungestimators
from lungestimators import feature_cache_info, limit_feature_cache

from ..conftest import make_cnn, make_squares
from ..images import dicom_files

EXAMPLES = Path(__file__).parents[2] / "examples"


def bytes_of(pixels, image_format="PNG", **options):
    """An image file, as bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format, **options)
    return file.getvalue()


@contextlib.contextmanager
def serving(app):
    """Serve an application from a thread; the block gets a client."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def module():
    """The module of the example; what it sets for the whole process is taken back."""
    most_bytes = feature_cache_info().max_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("serve")
    limit_feature_cache(most_bytes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the service keeps its files for a moment."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def estimator():
    """A classifier that calls an image opaque as soon as a tenth of it speaks for that."""
    X, y = make_squares()
    return FixedThresholdClassifier(make_cnn(), threshold=0.1, pos_label="opaque").fit(X, y)


@pytest.fixture(scope="module")
def service_of_module(module, folder, estimator):
    path = folder / "model.lung"
    lungestimators.save(estimator, path)
    app = module.create_app(path)
    path.unlink()
    with serving(app) as client:
        yield client


@pytest.fixture
def service(service_of_module, folder, monkeypatch):
    """A client of the service; after each test the service has left no file."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield service_of_module
    assert service_of_module.get("/health").status_code == 200
    assert not list(folder.iterdir())


def answered(service, content, **options):
    """The status of the answer to a file, and the answer."""
    response = service.post("/predict", content=content, **options)
    return response.status_code, response.json()


def raw_answer(service, target, body=b"", n_bytes=None, method="POST"):
    """Send a request that httpx would not send; return all that comes back."""
    n_bytes = len(body) if n_bytes is None else n_bytes
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    address = service.base_url.host, service.base_url.port
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: {n_bytes}\r\n\r\n".encode() + body)
        if n_bytes > len(body):
            return None  # the client goes away
        received = b""
        while piece := connection.recv(2**16):
            received += piece
    return received.decode()


def test_health_names_the_classes(service):
    response = service.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "classes": ["clear", "opaque"]}


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP"])
def test_the_answer_is_that_of_the_estimator(service, estimator, image_format):
    X, _ = make_squares()
    for image in X[:4]:
        status, answer = answered(service, bytes_of(image, image_format))
        assert status == 200
        assert answer["warnings"] == []
        expected = estimator.predict_proba(image[np.newaxis])[0]
        np.testing.assert_allclose(list(answer["probabilities"].values()), expected, atol=1e-5)
        assert answer["label"] == estimator.predict(image[np.newaxis])[0]


def test_the_label_is_the_one_that_the_threshold_chooses(service):
    X, _ = make_squares()
    grey = (X[0] + X[1]) // 2  # between a clear and an opaque one
    answers = [answered(service, bytes_of(np.uint8(grey * f)))[1] for f in np.linspace(0.5, 2, 16)]
    p = [answer["probabilities"]["opaque"] for answer in answers]
    assert any(0.1 <= each < 0.5 for each in p)
    assert [answer["label"] for answer in answers] == [
        "opaque" if each >= 0.1 else "clear" for each in p
    ]


def test_a_dicom_file_is_read(service, estimator, tmp_path):
    path = dicom_files.save(tmp_path / "a", dicom_files.radiograph())
    status, answer = answered(service, Path(path).read_bytes())
    assert status == 200
    expected = estimator.predict_proba([str(path)])[0]
    np.testing.assert_allclose(list(answer["probabilities"].values()), expected, atol=1e-5)


def test_what_the_library_warns_of_is_part_of_the_answer(service, folder):
    X, _ = make_squares()
    pages = bytes_of(X[0], "TIFF", save_all=True, append_images=[Image.fromarray(X[1])])
    _, answer = answered(service, pages)
    assert answer["warnings"] == [
        "1 image file holds several pages or frames, of which the first is read: 'the file'"
    ]


PNG = bytes_of(make_squares()[0][0])
DAMAGED = {
    "empty": (b"", "the file is empty"),
    "text": (b"no image at all", "it is not an image"),
    "of another program": (b"%PDF-1.7\n" + bytes(200), "PDF"),
    "cut short": (PNG[:-60], "truncated"),
    "changed": (PNG.replace(b"IDAT", b"IDAT\xff", 1), "."),
    "a TIFF cut short": (bytes_of(make_squares()[0][0], "TIFF")[:150], "truncated"),
    "DICOM without an image": (bytes(128) + b"DICM" + bytes(300), "DICOM"),
    "of 49 million pixels": (bytes_of(np.zeros((7000, 7000), bool)), "claims 49000000 pixels"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_with_the_reason_and_no_path(service, folder, name):
    content, reason = DAMAGED[name]
    status, answer = answered(service, content)
    assert status == 422
    assert list(answer) == ["error"]
    assert re.search(reason, answer["error"])
    assert not re.search(rf"{re.escape(str(folder))}|tmp|[/\\]image", answer["error"])


def test_a_file_that_is_too_large_is_refused_whether_its_size_is_said_or_not(
    service, module, monkeypatch
):
    most = 10_000
    monkeypatch.setattr(module, "MOST_BYTES", most)
    image = PNG + bytes(most - len(PNG))  # a PNG may be followed by anything
    for content in (lambda some: some, lambda some: iter([some[:7], some[7:]])):
        assert answered(service, content(image))[0] == 200
        for n_more in (1, 5_000_000):
            status, answer = answered(service, content(image + bytes(n_more)))
            assert (status, answer) == (413, {"error": "the file has more than 10000 bytes"})


def test_a_client_that_reads_nothing_while_it_sends_sees_why_it_is_refused(
    service, module, monkeypatch
):
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    url = str(service.base_url.join("/predict"))
    for _ in range(5):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, bytes(20_000_000)))
        assert refused.value.code == 413
        assert b"more than 10000 bytes" in refused.value.read()


def test_a_size_that_is_not_true_is_survived(service, folder):
    assert raw_answer(service, "/predict", PNG, len(PNG) - 60).startswith("HTTP/1.1 422")
    raw_answer(service, "/predict", PNG, len(PNG) + 60)
    assert raw_answer(service, "/predict", PNG).startswith("HTTP/1.1 200")
    until = time.monotonic() + 10
    while list(folder.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/predict/../../etc/passwd",
        "/predict/..%2f..%2fetc%2fpasswd",
        "/predict//etc/passwd",
        "/..\\..\\model.lung",
        "/health%00",
        "/static/serve.py",
    ],
)
def test_no_other_place_exists(service, target):
    for method in ("GET", "POST"):
        assert raw_answer(service, target, method=method).startswith("HTTP/1.1 404")


def test_names_that_a_client_sends_are_not_used(service, folder):
    headers = {"Content-Disposition": "attachment; filename=../../model.lung", "X-Name": "/etc/x"}
    status, answer = answered(
        service, PNG, headers=headers, params={"path": "/etc/passwd", "name": "../x"}
    )
    assert (status, answer["label"]) == (200, answered(service, PNG)[1]["label"])
    assert service.get("/predict").status_code == 405


def test_each_of_eight_clients_gets_the_answer_to_its_own_file(service, estimator):
    X, _ = make_squares()
    expected = estimator.predict_proba(X)[:, 1]
    bad = {5, 17, 40}

    def ask(row):
        content = bytes_of(X[row])
        return answered(service, content[:-60] if row in bad else content)

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, range(len(X))))
    for row, (status, answer) in enumerate(answers):
        assert status == (422 if row in bad else 200)
        if row not in bad:
            assert answer["probabilities"]["opaque"] == pytest.approx(expected[row], abs=1e-5)


def test_a_model_that_cannot_answer_is_not_served(module, estimator, tmp_path):
    path = tmp_path / "model.lung"
    lungestimators.save(estimator.estimator_, path)
    several = lungestimators.load(path).set_params(n_views=2)  # which needs Keras
    lungestimators.save(several, path)
    with pytest.raises(ValueError, match="synthetic radiograph: n_views=2: only Keras"):
        module.create_app(path)


class Waiting:
    """A classifier that answers when it may, but for the first image, which no client sends."""

    def __init__(self, estimator):
        self._estimator, self.classes_ = estimator, estimator.classes_
        self.may_go_on, self.begun = threading.Event(), threading.Event()
        self._is_first = True

    def predict_proba(self, paths):
        if not self._is_first:
            self.begun.set()
            assert self.may_go_on.wait(60)
        self._is_first = False
        return self._estimator.predict_proba(paths)


@pytest.fixture
def waiting(estimator):
    return Waiting(estimator)


@pytest.fixture
def slow_service(module, waiting, tmp_path, monkeypatch):
    """A client of a service whose classifier waits."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "load", lambda path, runtime: waiting)
    with serving(module.create_app("model.lung")) as client:
        try:
            yield client
        finally:
            waiting.may_go_on.set()
    assert not list(tmp_path.iterdir())


def test_a_client_waits_no_longer_than_the_limit(slow_service, waiting, module, monkeypatch):
    monkeypatch.setattr(module, "MOST_SECONDS", 0.3)
    for _ in range(2):  # one that is computed, one that waits for it
        status, answer = answered(slow_service, PNG)
        assert (status, answer) == (504, {"error": "no answer within 0.3 seconds"})
    response = slow_service.get("/health")
    assert response.status_code == 503
    assert response.json() == {"status": "one file takes too long"}
    waiting.may_go_on.set()
    monkeypatch.setattr(module, "MOST_SECONDS", 30)
    assert answered(slow_service, PNG)[0] == 200
    assert slow_service.get("/health").status_code == 200


def test_a_file_that_never_arrives_is_not_waited_for(slow_service, module, monkeypatch):
    monkeypatch.setattr(module, "MOST_SECONDS", 0.3)

    def pieces():
        yield PNG[:20]
        time.sleep(0.6)
        yield PNG[20:]

    assert answered(slow_service, pieces())[0] == 504


def test_health_is_answered_while_an_image_is_computed(slow_service, waiting):
    with concurrent.futures.ThreadPoolExecutor(1) as clients:
        asked = clients.submit(answered, slow_service, PNG)
        assert waiting.begun.wait(60)
        assert slow_service.get("/health").json()["status"] == "ready"
        waiting.may_go_on.set()
        assert asked.result()[0] == 200


def test_of_too_many_requests_some_are_asked_to_come_again(
    slow_service, waiting, module, monkeypatch
):
    monkeypatch.setattr(module, "MOST_REQUESTS", 1)
    with concurrent.futures.ThreadPoolExecutor(1) as clients:
        asked = clients.submit(answered, slow_service, PNG)
        assert waiting.begun.wait(60)
        response = slow_service.post("/predict", content=bytes(5_000_000))
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        waiting.may_go_on.set()
        assert asked.result()[0] == 200
    assert answered(slow_service, PNG)[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("says", ["argument", "variable"])
def test_the_example_runs_as_a_process_and_ends_when_it_is_told(estimator, tmp_path, says):
    model = tmp_path / "model.lung"
    lungestimators.save(estimator, model)
    command = [sys.executable, EXAMPLES / "serve.py", "--port", "0"]
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    if says == "argument":
        command.append(model)
    else:
        variables["LUNGESTIMATORS_MODEL"] = str(model)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables)
    try:
        for line in process.stderr:
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                break
        with httpx.Client(base_url=found[1], timeout=60) as client:
            assert answered(client, PNG)[0] == 200
            assert answered(client, PNG[:-60])[0] == 422
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.slow
def test_without_a_model_the_example_says_what_is_missing():
    variables = {key: value for key, value in os.environ.items() if "LUNGESTIMATORS" not in key}
    done = subprocess.run(
        [sys.executable, EXAMPLES / "serve.py"], capture_output=True, text=True, env=variables
    )
    assert done.returncode == 2
    assert "required: model" in done.stderr
