"""Compare the classifiers, beside the accuracy that was published for them.

    python benchmarks/compare.py                        300 synthetic images, no network needed
    python benchmarks/compare.py --data DIR             a folder a class, or train/ and test/
    python benchmarks/compare.py --data FILE.npz        MedMNIST: trained on train, scored on val
    python benchmarks/compare.py --data lung-disease    fetched once (so is pneumoniamnist)
    python benchmarks/compare.py --protocol published   the published procedure, scored both ways

Without a given split, every figure is a mean over stratified cross-validation.
"""

import argparse
import json
import platform
import shlex
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import report
import scores
from joblib import Parallel, delayed
from models import DEFAULT_MODELS, MODELS, build, choose_weights, read_settings
from problems import InputError, load

RESULTS = Path(__file__).parent / "results"


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="compare.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder, MedMNIST .npz, lung-disease or pneumoniamnist")
    parser.add_argument(
        "--difficulty", type=float, default=0.5, help="of the synthetic images, 0 to 1"
    )
    parser.add_argument("--models", nargs="+", default=DEFAULT_MODELS, metavar="MODEL")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="MODEL.PARAMETER=VALUE",
        help="change a parameter of one model, such as MobileNet.alpha=0.25; may be repeated",
    )
    parser.add_argument(
        "--weights",
        choices=["auto", "imagenet", "none"],
        default="auto",
        help="of the backbones; auto: ImageNet where it can be had, else random, small and whole",
    )
    parser.add_argument("--protocol", choices=["cross-validation", "published"])
    parser.add_argument("--folds", type=int, help="default: 5, on synthetic images 3")
    parser.add_argument("--repeats", type=int, default=1, help="each with the next seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=1, help="fits at once, each in a process")
    parser.add_argument("--out", type=Path, help="folder; default: benchmarks/results/<data set>")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail where an accuracy is below the committed result's interval",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only try that everything runs: few and small images, two epochs, random weights",
    )
    arguments = parser.parse_args(argv)
    if arguments.folds is None:
        arguments.folds = 5 if arguments.data else 3
    return arguments


def check(arguments):
    """Raise for arguments that cannot be carried out."""
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        raise InputError(f"--models {' '.join(unknown)}: there are {', '.join(MODELS)}")
    if arguments.folds < 2 or arguments.repeats < 1:
        raise InputError("--folds must be at least 2 and --repeats at least 1")
    if arguments.check and (arguments.quick or arguments.protocol == "published"):
        raise InputError("--check compares whole runs only: leave out --quick and --protocol")


def main(argv):
    """Run; return the exit status."""
    arguments = parse(argv)
    try:
        check(arguments)
        settings = read_settings(arguments.set)
        problem = load(arguments.data, arguments.difficulty, arguments.seed, arguments.quick)
        for name in arguments.models:
            build(name, settings[name], arguments.quick, 0)
        committed = _committed(problem) if arguments.check else None
        out = None if arguments.check else _output(arguments, problem)
        if arguments.protocol == "published":
            import published

            return published.main(problem, settings, arguments, out, _command(argv))
        note = None
        if not arguments.quick:
            note = choose_weights(arguments.weights, arguments.models, settings)
    except InputError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    description = " ".join(filter(None, [report.describe(problem, arguments), note]))
    print(description, flush=True)
    state = dict(
        command=_command(argv),
        settings={name: settings[name] for name in arguments.models},
        versions=_versions(),
        complete=False,
        rows=[],
    )
    file = out and out / "results.json"
    if file and not arguments.quick:
        state["rows"] = _finished(file, state)
    try:
        for name in arguments.models:
            if any(row["model"] == name for row in state["rows"]):
                continue
            state["rows"].append(evaluate(name, settings[name], problem, arguments))
            if file:
                report.save(file, state)
    except KeyboardInterrupt:
        kept = ", ".join(row["model"] for row in state["rows"]) or "nothing yet"
        print(f"\nInterrupted; finished: {kept}. The same command goes on there.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    rows = sorted(state["rows"], key=lambda row: arguments.models.index(row["model"]))
    print(f"\n{report.markdown_table(report.cells(rows, problem.names))}\n\n{report.NOTES}")
    if committed is not None:
        return _compare_with(committed, rows)
    state.update(complete=True, rows=rows)
    report.save(file, state)
    report.write(out, problem, rows, state, description)
    print(f"\nWritten to {out}: results.json, results.md, report.html, figures/")
    return 0


def evaluate(name, settings, problem, arguments):
    """Fit and score one model over all folds and repeats; return a row of the table."""
    fits = scores.fits_of(name, settings, problem, arguments)
    work = Parallel(n_jobs=arguments.n_jobs, return_as="generator")(
        delayed(scores.run)(fit, problem.X, problem.y) for fit in fits
    )
    began, done = time.perf_counter(), []
    for score in work:
        done.append(score)
        left = (time.perf_counter() - began) / len(done) * (len(fits) - len(done))
        print(
            f"  {name}: fit {len(done)} of {len(fits)}, accuracy {score['accuracy']:.3f}, "
            f"{score['fit_seconds']:.0f} s; about {left:.0f} s left",
            flush=True,
        )
    return scores.summarise(name, settings, done, problem, arguments)


def _command(argv):
    return shlex.join(["python", "benchmarks/compare.py", *argv])


def _versions():
    packages = ("lungestimators", "scikit-learn", "keras", "tensorflow", "scikeras", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _output(arguments, problem):
    """Make the folder and try that it can be written to, before anything is trained."""
    out = arguments.out
    if out is None:
        name = problem.name + "-published" * (arguments.protocol == "published")
        out = RESULTS / (f"{name}-quick" if arguments.quick else name)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from error
    return out


def _finished(file, state):
    """The models that an interrupted run of the same command had finished."""
    try:
        before = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    same = all(before.get(key) == state[key] for key in ("command", "versions"))
    same = same and before.get("settings") == json.loads(json.dumps(state["settings"]))
    if before.get("complete", True) or not same:
        return []
    names = ", ".join(row["model"] for row in before["rows"])
    print(f"Going on with an interrupted run, which had finished: {names}", flush=True)
    return before["rows"]


def _committed(problem):
    file = RESULTS / problem.name / "results.json"
    if not file.exists():
        raise InputError(f"--check: there are no committed results in {file.parent}")
    return {row["model"]: row for row in json.loads(file.read_text())["rows"]}


def _compare_with(committed, rows):
    """Exit status of --check: 1 where an accuracy fell below the committed interval."""
    status = 0
    for row in rows:
        if row["model"] not in committed:
            print(f"{row['title']}: no committed result")
            continue
        lowest = committed[row["model"]]["interval"][0]
        if row["accuracy"] < lowest:
            status = 1
            print(f"{row['title']}: {row['accuracy']:.3f} is below the committed {lowest:.3f}")
    print("--check: " + ("failed" if status else "passed"))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
