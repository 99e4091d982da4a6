"""The example of a service under load: is every request answered, and does its memory stay?

python benchmarks/service.py                8 clients for 5 minutes, after a warm-up of 30 seconds
python benchmarks/service.py --minutes 0.3 --warm-up 5

`examples/serve.py` runs as a process of its own, with a small `CNNClassifier` that was fitted to
synthetic images. Clients are threads with a connection each. They send files as fast as they are
answered: PNG, JPEG and DICOM, and one damaged file in a hundred. Reads /proc: Linux only.
"""

import argparse
import collections
import contextlib
import importlib.metadata
import io
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from lungestimators import CNNClassifier, load, make_chest_xrays

RESULTS = Path(__file__).parent / "results" / "service"
SERVE = Path(__file__).parents[1] / "examples" / "serve.py"
IMAGE_SIZE = 512
# Valid files of each format, and damaged ones of each kind.
N_FILES = 12
# One request of so many is a damaged file.
DAMAGED_EVERY = 100
# What the memory of the service may grow by after the warm-up, in MB.
MOST_GROWTH = 50
PACKAGES = (
    *("lungestimators", "onnxruntime", "starlette", "uvicorn", "httpx", "pillow", "pydicom"),
    *("tensorflow", "keras"),
)
NOTE = """The images are synthetic, {size} x {size} pixels; the model is a small CNN that was fitted
to synthetic images. Clients send the next file when they have the answer to the last one. Lost: no
answer came, or the connection broke. Wrong: a valid file that was not answered with the
probabilities that Keras computes for it outside of the service, within 1e-5, or a damaged one that
was not refused with status 422 and a reason. Latency is of all answers; the clients run on the same
machine. Memory is resident memory of the service's process."""


class File(NamedTuple):
    """A file to send."""

    kind: str
    content: bytes
    probabilities: np.ndarray | None  # None: it is damaged, and to be refused


class Answer(NamedTuple):
    """What became of a request."""

    status: int | None  # None: lost
    is_right: bool
    seconds: float
    details: str


def dicom_file(pixels):
    """Return a DICOM file of 8-bit pixels as bytes."""
    dataset, dataset.file_meta = Dataset(), FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        ComputedRadiographyImageStorage
    )
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.PhotometricInterpretation = "CR", "MONOCHROME2"
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def image_file(pixels, image_format):
    """Return an image file as bytes."""
    if image_format == "DICOM":
        return dicom_file(pixels)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format)
    return file.getvalue()


def valid_files(model, folder):
    """Return files, and the probabilities that Keras computes for them."""
    X, _ = make_chest_xrays(3 * N_FILES, image_size=IMAGE_SIZE, random_state=1)
    formats = ("PNG", "JPEG", "DICOM")
    kinds = [formats[number % 3] for number in range(len(X))]
    contents = [image_file(pixels, kind) for pixels, kind in zip(X, kinds, strict=True)]
    paths = [str(Path(folder, str(number))) for number in range(len(X))]
    for path, content in zip(paths, contents, strict=True):
        Path(path).write_bytes(content)
    return list(map(File, kinds, contents, load(model).predict_proba(paths)))


def damaged_files(valid):
    """Return files that are to be refused: cut short, random, empty, and of other programs."""
    rng = np.random.default_rng(2)
    files = []
    for number in range(N_FILES):
        content = valid[number % len(valid)].content
        cut = content[: int(len(content) * rng.uniform(0.05, 0.9))]
        files += [
            File("cut short", cut, None),
            File("random bytes", rng.bytes(int(rng.integers(1, 10**5))), None),
            File("empty", b"", None),
            File(
                "of another program", (b"%PDF-1.7\n", b"PK\3\4")[number % 2] + rng.bytes(999), None
            ),
        ]
    return files


def send(client, file):
    """Send a file; return the Answer."""
    start = time.perf_counter()
    try:
        response = client.post("/predict", content=file.content)
    except httpx.HTTPError as error:
        time.sleep(0.1)  # the service may have ended
        return Answer(None, False, time.perf_counter() - start, f"{file.kind}: {error!r}")
    seconds = time.perf_counter() - start
    try:
        body = response.json()
        if file.probabilities is None:
            is_right = response.status_code == 422 and bool(body["error"])
        else:
            found = list(body["probabilities"].values())
            is_right = response.status_code == 200 and np.allclose(
                found, file.probabilities, atol=1e-5
            )
    except (ValueError, KeyError):
        is_right = False
    details = "" if is_right else f"{file.kind}: {response.status_code} {response.text[:200]}"
    return Answer(response.status_code, is_right, seconds, details)


def send_until(end, url, number, n_clients, valid, damaged):
    """Send files, one after another, until a time; return the answers."""
    answers = []
    with httpx.Client(base_url=url, timeout=120) as client:
        while time.monotonic() < end:
            # Requests of all clients have numbers of their own: as many as are sent in turn.
            request = len(answers) * n_clients + number
            turn, rest = divmod(request, DAMAGED_EVERY)
            files = valid if rest else damaged
            answers.append(send(client, files[(request if rest else turn) % len(files)]))
    return answers


def load_for(seconds, url, n_clients, valid, damaged):
    """Let clients send files for some seconds; return the answers to all of them."""
    end, answers = time.monotonic() + seconds, [[] for _ in range(n_clients)]

    def run(number):
        answers[number] = send_until(end, url, number, n_clients, valid, damaged)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for some in answers for answer in some]


class MemoryWatch:
    """Reads the resident memory of a process twice a second, in MB, from a thread."""

    def __init__(self, process):
        self._path = f"/proc/{process.pid}/status"
        self.seen = [self.now()]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def now(self):
        """Return the present resident memory; 0 of a process that has ended."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(self._path).read_text())
        return int(found[1]) / 1024 if found else 0

    def _watch(self):
        while not self._stop.wait(0.5):
            self.seen.append(self.now())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.seen.append(self.now())


@contextlib.contextmanager
def service(model, folder):
    """Run the example as a process with a folder for its files; the block gets process and URL."""
    log = Path(folder).parent / "service.log"
    environment = {**os.environ, "TMPDIR": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, SERVE, model, "--port", "0"],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        while not (found := re.search(r"running on (http://\S+)", log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the service did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield process, found[1]
    finally:
        process.terminate()
        process.wait()


def table_of(answers, seconds, memory, n_left):
    """Return lines of a table, and whether what was asked for was reached."""
    statuses = collections.Counter(answer.status for answer in answers)
    lost, wrong = statuses.pop(None, 0), sum(not a.is_right for a in answers if a.status)
    latencies = np.array([answer.seconds for answer in answers]) * 1000
    growth = max(memory) - memory[0]
    n_500 = sum(count for status, count in statuses.items() if status >= 500)
    rows = [
        ("requests", len(answers), ""),
        *((f"answered with {status}", count, "") for status, count in sorted(statuses.items())),
        ("lost", lost, "0"),
        ("answered with 500 or above", n_500, "0"),
        ("wrong", wrong, "0"),
        ("requests a second", f"{len(answers) / seconds:.1f}", ""),
        ("latency, median", f"{np.median(latencies):.0f} ms", ""),
        ("latency, 99th percentile", f"{np.percentile(latencies, 99):.0f} ms", ""),
        ("memory after the warm-up", f"{memory[0]:.0f} MB", ""),
        ("memory at the end", f"{memory[-1]:.0f} MB", ""),
        ("memory at most, beyond that after the warm-up", f"{growth:.1f} MB", f"{MOST_GROWTH} MB"),
        ("files left behind", n_left, "0"),
    ]
    lines = ["| measured | value | asked, at most |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {value} | {asked} |" for name, value, asked in rows]
    return lines, not (lost or n_500 or wrong or n_left) and growth <= MOST_GROWTH


def versions():
    """Return the machine and the versions in words."""
    names = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {platform.machine()}; {python}, {', '.join(names)}."


def main(argv):
    """Start the service, send files, count the answers, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--warm-up", type=float, default=30, help="seconds; default: 30")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        model, files, own = (Path(folder, name) for name in ("model.lung", "files", "own"))
        files.mkdir()
        own.mkdir()
        X, y = make_chest_xrays(120, image_size=128, random_state=0)
        CNNClassifier(image_size=64, epochs=3, random_state=0).fit(X, y).save(model)
        valid = valid_files(model, files)
        to_send = arguments.clients, valid, damaged_files(valid)
        with service(model, own) as (process, url):
            load_for(arguments.warm_up, url, *to_send)
            start = time.monotonic()
            with MemoryWatch(process) as memory:
                answers = load_for(60 * arguments.minutes, url, *to_send)
            seconds = time.monotonic() - start
            n_left = len(list(own.iterdir()))
    lines, is_reached = table_of(answers, seconds, memory.seen, n_left)
    print("\n".join(lines))
    for details in dict.fromkeys(answer.details for answer in answers if answer.details):
        print(details)
    command = shlex.join(["python", "benchmarks/service.py", *argv])
    note = NOTE.format(size=IMAGE_SIZE)
    table = "\n".join(lines)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "results.md").write_text(
        f"# A service under load\n\n```\n{command}\n```\n\n{table}\n\n{note}\n\n{versions()}\n",
        encoding="utf-8",
    )
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
