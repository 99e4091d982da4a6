"""Files of save, changed at random: does load refuse each of them, or return what predicts?

python benchmarks/lung_files.py             20,000 files; five minutes on two cores
python benchmarks/lung_files.py --files 300
"""

import argparse
import collections
import concurrent.futures
import copy
import functools
import hashlib
import io
import json
import multiprocessing
import shlex
import struct
import sys
import tempfile
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lungestimators import (
    BackboneFeatures,
    BorderCrop,
    CNNClassifier,
    DenseNetClassifier,
    load,
    make_chest_xrays,
    save,
)

RESULTS = Path(__file__).parent / "results" / "lung-files"
ENTRIES = DOCUMENT, ARRAYS, DIGESTS = "estimator.json", "arrays.safetensors", "SHA256SUMS"
# Files that one process tries, one after another.
AT_ONCE = 100
# Bytes that Python needs for any file, however small: parsed JSON, the messages of errors.
CONSTANT = 8 * 2**20
REFUSED, ANSWERS, ELSE, CODE, MEMORY = (
    "a ValueError that names the file",
    "loaded, and predicts",
    "anything else",
    "code was run",
    "memory above 3 times the file",
)
# Values that take the place of others in the JSON.
STRANGE = (
    *(None, True, -1, 0, 1, 3, 2**31, 10**12, 10**300, 1e300, -0.5, "", "x", "nan", [], {}, [[]]),
    *("Lambda", "os", "system", "builtins", "eval", "subprocess", "../../x", "/tmp/lung", "chest"),
    {"type": "estimator", "class": "Popen", "parameters": {"args": "touch lung-code-was-run"}},
    {"type": "estimator", "class": "LogisticRegression", "parameters": {}},
    {"type": "tuple", "items": []},
    {"type": "array", "name": "array_0"},
    {"module": "os", "class_name": "system", "config": "touch lung-code-was-run"},
    {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}},
    {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}},
)
# Events of Python that nothing but code of the file would cause while a file is loaded.
EVENTS = (
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir"),
    *("subprocess.", "socket.", "ctypes.", "pickle.find_class", "code.__new__", "shutil."),
    *("marshal.", "function.__new__"),
)


def small_estimators():
    """Return fitted estimators, whose files are changed, by name; X to predict is 48 px."""
    X, y = make_chest_xrays(48, image_size=48, random_state=0)
    y = np.where(y == y[0], "first", "others")  # a threshold needs two classes
    cnn = CNNClassifier(
        image_size=16, filters=(4, 8), dense_units=8, epochs=2, n_networks=2, random_state=0
    )
    dense = DenseNetClassifier(
        weights=None, blocks=(1, 1, 1, 1), image_size=32, dense_units=8, epochs=1, random_state=0
    )
    features = BackboneFeatures(
        "MobileNet", alpha=0.25, weights=None, image_size=32, random_state=0
    )
    head = make_pipeline(features, StandardScaler(), LogisticRegression())
    estimators = {
        "CNN": cnn,
        "DenseNet": dense,
        "features": head,
        "calibrated": CalibratedClassifierCV(make_pipeline(BorderCrop(), cnn), cv=2),
        "voting": VotingClassifier([("cnn", cnn), ("head", head)], voting="soft"),
        "threshold": TunedThresholdClassifierCV(cnn, cv=2),
    }
    return {name: estimator.fit(X, y) for name, estimator in estimators.items()}


def entries_of(content):
    """Return the entries of a zip as a dict of bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(entries):
    """Return a zip that stores (name, bytes) of a list."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # of two entries with one name
        for name, part in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), part)
    return file.getvalue()


def with_digests(entries):
    """Return entries with the digests that they have now."""
    lines = [f"{hashlib.sha256(entries[x]).hexdigest()}  {x}\n" for x in (DOCUMENT, ARRAYS)]
    return entries | {DIGESTS: "".join(lines).encode()}


def flip_bits(rng, content):
    """Change one to eight bits."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def cut(rng, content):
    """Cut off the end, the beginning, or a piece."""
    a, b = sorted(rng.integers(0, len(content) + 1, 2))
    return (content[:a], content[b:], content[:a] + content[b:])[rng.integers(3)]


def overwrite(rng, content):
    """Write random bytes, or a copy of other bytes of the file, over some."""
    n = int(rng.integers(1, 64))
    a, b = rng.integers(0, max(1, len(content) - n), 2)
    piece = rng.bytes(n) if rng.integers(2) else content[b : b + n]
    return content[:a] + piece + content[a + n :]


def change_entries(rng, content):
    """Add, drop, repeat, rename, swap or empty an entry of the zip."""
    entries = list(entries_of(content).items())
    a, b = rng.integers(len(entries), size=2)
    choice = rng.integers(6)
    if choice == 0:
        entries.append((str(rng.choice(["x", "../x", "model.pkl", DOCUMENT])), rng.bytes(9)))
    elif choice == 1:
        del entries[a]
    elif choice == 2:
        entries.append(entries[a])
    elif choice == 3:
        entries[a] = f"{entries[a][0]}x", entries[a][1]
    elif choice == 4:
        entries[a], entries[b] = (entries[a][0], entries[b][1]), (entries[b][0], entries[a][1])
    else:
        entries[a] = entries[a][0], b""
    return zip_of(entries)


def places_in(value, found=None):
    """Return all (container, key) of a JSON value."""
    found = [] if found is None else found
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        found.append((value, key))
        if isinstance(item, dict | list):
            places_in(item, found)
    return found


def change_json(rng, entries):
    """Change, drop, repeat or swap values of the JSON, one to three times."""
    document = json.loads(entries[DOCUMENT])
    for _ in range(rng.integers(1, 4)):
        # Half of the changes outside of the long architectures.
        part = document if rng.integers(2) else {"x": document["estimator"]}
        places = places_in(part)
        container, key = places[rng.integers(len(places))]
        other, other_key = places[rng.integers(len(places))]
        choice = rng.integers(6)
        try:
            if choice == 0:
                del container[key]
            elif choice == 1:
                container[key] = copy.deepcopy(other[other_key])
            elif choice == 2 and isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            elif choice == 3 and isinstance(container[key], int | float):
                container[key] = container[key] * 2 + int(rng.integers(-2, 3))
            elif choice == 4 and isinstance(container, dict):
                container[f"{key}x"] = container.pop(key)
            else:
                container[key] = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])
        except (IndexError, KeyError, RecursionError):
            continue  # an earlier change took it away
        if not isinstance(document.get("estimator"), dict | list):
            break
    try:
        return entries | {DOCUMENT: json.dumps(document, separators=(",", ":")).encode()}
    except (RecursionError, ValueError):
        return entries | {DOCUMENT: b"[" * 10**5}


def change_text(rng, entries):
    """Change the text of the JSON."""
    change = (flip_bits, cut, overwrite)[rng.integers(3)]
    return entries | {DOCUMENT: change(rng, entries[DOCUMENT])}


def change_arrays(rng, entries):
    """Change the header or the data of safetensors."""
    content = entries[ARRAYS]
    if rng.integers(2):
        return entries | {ARRAYS: (flip_bits, cut, overwrite)[rng.integers(3)](rng, content)}
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    names = list(header)
    a, b = (names[i] for i in rng.integers(len(names), size=2))
    choice = rng.integers(5)
    if choice == 0:
        header[a], header[b] = header[b], header[a]
    elif choice == 1:
        header[a]["shape"] = header[a]["shape"][::-1] + [1] * int(rng.integers(2))
    elif choice == 2:
        header[a]["dtype"] = str(rng.choice(["F32", "I32", "F16", "BF16", "U8", "BOOL"]))
    elif choice == 3:
        header[f"{a}x"] = header.pop(a)
    else:
        header[a]["shape"] = [int(rng.integers(2**40))]
    text = json.dumps(header).encode()
    return entries | {ARRAYS: struct.pack("<Q", len(text)) + text + data}


def changed_file(seed, content):
    """Return a file with random changes, which follow from ``seed``, and their name.

    Half of all files have the right digests, so that the changes come as far as they can.
    """
    rng = np.random.default_rng(seed)
    if seed % 2:
        change = (flip_bits, cut, overwrite, change_entries)[rng.integers(4)]
        return change.__name__, change(rng, content)
    change = (change_json, change_json, change_text, change_arrays)[rng.integers(4)]
    entries = with_digests(change(rng, entries_of(content)))
    return f"{change.__name__}, right digests", zip_of(entries.items())


class CodeWatcher:
    """Notes events of Python that only code of a file would cause.

    Attributes
    ----------
    seen : list of str
    watching : bool
    """

    def __init__(self):
        self.seen, self.watching = [], False
        sys.addaudithook(self._note)

    def _note(self, event, arguments):
        if not self.watching:
            return
        writes = (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        )
        if event.startswith(EVENTS) or writes:
            self.seen.append(f"{event} {arguments}"[:200])


@functools.cache
def code_watcher():
    """Return the one watcher of this process: an audit hook cannot be removed."""
    return CodeWatcher()


def outcome_of(path, X, watcher):
    """Load a file and predict; return what became of it, and the details where that is bad."""
    size = path.stat().st_size
    watcher.seen.clear()
    tracemalloc.start()
    watcher.watching = True
    estimator, error = None, None
    try:
        estimator = load(path)
    except BaseException as caught:  # of any kind: this is what is counted
        error = caught
    watcher.watching = False
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if watcher.seen:
        return CODE, watcher.seen[0]
    if peak > 3 * size + CONSTANT:
        return MEMORY, f"{peak} of {size} bytes"
    if error is not None:
        if isinstance(error, ValueError) and path.name in str(error):
            return REFUSED, ""
        return ELSE, f"load: {error!r}"
    try:
        probabilities = estimator.predict_proba(X) if hasattr(estimator, "classes_") else None
        if probabilities is None or probabilities.shape == (len(X), len(estimator.classes_)):
            return ANSWERS, ""
        return ELSE, f"probabilities of shape {probabilities.shape}"
    except ValueError as caught:
        return REFUSED, f"predict: {caught}"
    except BaseException as caught:
        return ELSE, f"predict: {caught!r}"


def try_files(folder, seeds):
    """Return (kind of change, outcome, details) of some changed files."""
    folder = Path(folder)
    warnings.simplefilter("ignore")
    contents = [path.read_bytes() for path in sorted(folder.glob("*.lung"))]
    X, _ = make_chest_xrays(2, image_size=48, random_state=1)
    watcher, found = code_watcher(), []
    for path in sorted(folder.glob("*.lung")):
        # Import all that a file may need; errors print estimators, for which scikit-learn imports.
        repr(load(path))
        load(path).predict_proba(X)
    with tempfile.TemporaryDirectory() as own:
        for seed in seeds:
            kind, content = changed_file(seed, contents[seed // 2 % len(contents)])
            path = Path(own, f"changed-{seed}.lung")
            path.write_bytes(content)
            outcome, details = outcome_of(path, X, watcher)
            found.append((kind, outcome, f"{seed}: {details}" if details else ""))
            path.unlink()
    return found


def table_of(found):
    """Return lines of a table: kinds of changes, and how many files had each outcome."""
    outcomes = [REFUSED, ANSWERS, ELSE, CODE, MEMORY]
    lines = [f"| changed | files | {' | '.join(outcomes)} |", "| --- |" + " ---: |" * 6]
    counts = collections.Counter((kind, outcome) for kind, outcome, _ in found)
    kinds = sorted({kind for kind, _, _ in found})
    for kind in kinds:
        numbers = [counts[kind, outcome] for outcome in outcomes]
        lines.append(f"| {kind} | {sum(numbers)} | {' | '.join(map(str, numbers))} |")
    numbers = [sum(counts[kind, outcome] for kind in kinds) for outcome in outcomes]
    lines.append(f"| all | {sum(numbers)} | {' | '.join(map(str, numbers))} |")
    return lines


def main(argv):
    """Change files, try them, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args(argv)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, estimator in small_estimators().items():
            save(estimator, Path(folder, f"{name}.lung"))
        seeds = range(arguments.files)
        batches = [seeds[start : start + AT_ONCE] for start in range(0, len(seeds), AT_ONCE)]
        with concurrent.futures.ProcessPoolExecutor(
            arguments.processes, multiprocessing.get_context("spawn")
        ) as pool:
            for some in pool.map(try_files, [folder] * len(batches), batches):
                found += some
                for kind, outcome, details in some:
                    if outcome in (ELSE, CODE, MEMORY):
                        print(f"{outcome}: {kind}, seed {details}", flush=True)
    lines = table_of(found)
    print("\n".join(lines))
    arguments.results.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/lung_files.py", *argv])
    text = f"```\n{command}\n```\n\n" + "\n".join(lines) + "\n"
    (arguments.results / "files.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
