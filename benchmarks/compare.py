"""Compare the classifiers, beside the accuracy that was published for them.

    python benchmarks/compare.py                        300 synthetic images, no network needed
    python benchmarks/compare.py --data DIR             a folder a class, or train/ and test/
    python benchmarks/compare.py --data FILE.npz        MedMNIST: trained on train, scored on val
    python benchmarks/compare.py --data lung-disease    fetched once (so is pneumoniamnist)
    python benchmarks/compare.py --protocol published   the published procedure, scored both ways
    python benchmarks/compare.py --lungs mask           the lungs only, as LungFields finds them

The data are audited first. Without a given split, every figure is a mean over stratified
cross-validation; with one, accuracy is given with and without test images that repeat a training
image.
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

import numpy as np
from comparison import audited, report, scores
from comparison.models import (
    DEFAULT_MODELS,
    MODELS,
    TITLES,
    build,
    choose_weights,
    default_weights,
    read_settings,
)
from comparison.problems import InputError, check_splits, load, only_lungs
from joblib import Parallel, delayed

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
        help="change a parameter of one model, such as DenseNet.epochs=20; may be repeated",
    )
    parser.add_argument(
        "--weights",
        choices=["chest", "imagenet", "none"],
        help="chest: weights of the package, and ImageNet's for MobileNetV2; imagenet; none: small "
        "networks from random weights. Default: chest, but none with PneumoniaMNIST, whose "
        "children chest has seen, and imagenet with --protocol published. --quick always has "
        "random weights",
    )
    parser.add_argument(
        "--lungs", choices=["crop", "mask"], help="show all models the lungs only, by LungFields"
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
    if arguments.folds < 2 or arguments.repeats < 1 or arguments.seed < 0:
        raise InputError("--folds must be at least 2, --repeats at least 1, --seed at least 0")
    if arguments.check and (arguments.quick or arguments.protocol == "published"):
        raise InputError("--check compares whole runs only: leave out --quick and --protocol")
    if arguments.lungs and arguments.protocol == "published":
        raise InputError("--lungs: the published procedure sees whole images, leave out --lungs")
    if arguments.check and arguments.out:
        raise InputError("--check writes nothing: leave out --out")


def main(argv):
    """Run; return the exit status."""
    arguments = parse(argv)
    try:
        check(arguments)
        settings = read_settings(arguments.set)
        problem = load(arguments.data, arguments.difficulty, arguments.seed, arguments.quick)
        check_splits(problem, arguments.folds)
        if arguments.lungs:
            problem = only_lungs(problem, arguments.lungs)
        out = None if arguments.check else _output(arguments, problem)
        if arguments.protocol == "published":
            from comparison import published

            return published.main(problem, settings, arguments, out, _command(argv))
        return compare(problem, settings, arguments, out, argv)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on with what was finished.", file=sys.stderr)
        return 130
    except (InputError, ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        print(f"compare.py: {reason}", file=sys.stderr)
        return 2


def compare(problem, settings, arguments, out, argv):
    """Score all models, print the table and write the results; return the exit status."""
    notes = [report.describe(problem, arguments)]
    if not arguments.quick:
        choice = arguments.weights or default_weights(problem)
        notes.append(choose_weights(choice, arguments.models, settings, problem))
    state = dict(
        command=_command(argv),
        data=problem.digest(),
        settings={name: settings[name] for name in arguments.models},
        folds=arguments.folds,
        repeats=arguments.repeats,
        seed=arguments.seed,
        versions=_versions(),
        rows=[],
    )
    committed = _committed(problem, state) if arguments.check else None
    for name in arguments.models:
        rehearse(name, settings[name], problem, arguments)
    description = " ".join(filter(None, notes))
    print(description, flush=True)
    unfinished = out and out / "unfinished.json"
    if unfinished:
        state |= _finished(unfinished, state)
    if "audit" not in state:
        state["audit"] = audited.audit(problem, arguments)
        if unfinished:
            report.save(unfinished, state)
    for name in arguments.models:
        if any(row["model"] == name for row in state["rows"]):
            continue
        state["rows"].append(evaluate(name, settings[name], problem, arguments))
        if unfinished:
            report.save(unfinished, state)
    finished = {row["model"]: row for row in state["rows"]}
    finished = [finished[name] for name in arguments.models]
    comparison = scores.compared(finished, problem, arguments)
    state["rows"] = rows = [
        scores.summarise(
            row["model"],
            settings[row["model"]],
            row["scores"],
            found,
            problem,
            arguments,
            state["audit"]["leaked"],
        )
        for found, row in zip(comparison.models, finished, strict=True)
    ]
    state["differences"] = dict(
        conclusion=comparison.conclusion, pairs=comparison.pairs, notes=comparison.notes
    )
    table = report.markdown_table(report.cells(rows, problem))
    differences = report.differences_text(state["differences"])
    print(f"\n{report.audit_text(state['audit'])}\n\n{table}\n\n{differences}\n")
    print(report.notes(rows))
    if committed is not None:
        return _compare_with(committed, rows)
    report.write(out, problem, rows, state, description)
    report.save(out / "results.json", state)
    unfinished.unlink()
    print(f"\nWritten to {out}: results.json, results.md, report.html, figures/")
    return 0


def rehearse(name, settings, problem, arguments):
    """Fit for one epoch on two images a class: what is wrong shows before anything is trained."""
    model = build(name, settings, arguments.quick, arguments.seed)
    shortened = dict(early_stopping=False, verbose=0)
    for epochs in ("epochs", "fine_tune_epochs"):
        if epochs in model.get_params() and model.get_params()[epochs] > 1:
            shortened[epochs] = 1
    if name not in TITLES:
        model.set_params(**shortened)
    train = np.arange(len(problem.y)) if problem.split is None else problem.split[0]
    rows = [train[problem.y[train] == c][:2] for c in range(len(problem.names))]
    rows = np.concatenate(rows)
    try:
        model.fit(problem.X[rows], problem.y[rows])
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"{name}: {error}") from error


def evaluate(name, settings, problem, arguments):
    """Fit and score one model over all folds and repeats; return its name and scores."""
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
    return dict(model=name, scores=done)


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
    elif arguments.data and Path(arguments.data).resolve() in (out / "x").resolve().parents:
        raise InputError(f"--out {out}: the results would be taken for images of --data")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from error
    return out


def _finished(file, state):
    """What an interrupted run of the same command on the same data had finished."""
    if not file.exists():
        return {}
    before, now = json.loads(file.read_text(encoding="utf-8")), json.loads(json.dumps(state))
    if any(before.get(key) != now[key] for key in now if key != "rows") or "audit" not in before:
        return {}
    names = ", ".join(["audit", *(row["model"] for row in before["rows"])])
    print(f"Going on with an interrupted run, which had finished: {names}", flush=True)
    return {key: before[key] for key in ("audit", "rows")}


def _committed(problem, state):
    """The rows of the committed results, which must have been made as this run is."""
    file = RESULTS / problem.name / "results.json"
    if not file.exists():
        raise InputError(f"--check: there are no committed results in {file.parent}")
    before, now = json.loads(file.read_text(encoding="utf-8")), json.loads(json.dumps(state))
    rows = {row["model"]: row for row in before["rows"]}
    for name, settings in now["settings"].items():
        if name not in rows or before["settings"][name] != settings:
            raise InputError(
                f"--check: the committed results have no {name} with the settings {settings}; "
                f"they were made by: {before['command']}"
            )
    if any(before[key] != now[key] for key in ("folds", "repeats", "seed")):
        raise InputError(f"--check: the committed results were made by: {before['command']}")
    return rows


def _compare_with(committed, rows):
    """Exit status of --check: 1 where an accuracy fell below the committed interval."""
    status = 0
    for row in rows:
        lowest = committed[row["model"]]["interval"][0]
        if row["accuracy"] < lowest:
            status = 1
            print(f"{row['title']}: {row['accuracy']:.3f} is below the committed {lowest:.3f}")
    print("--check: " + ("failed" if status else "passed"))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
