"""predict: which class do images belong to?"""

import csv
import os

from ..datasets import load_images
from ..images.errors import ImageReadError
from ..images.progress import ProgressBar
from ..text_tables import counted, printable, text_table
from .models import class_names, load_classifier, predict_files, say_known
from .results import (
    DONE,
    SOMETHING_WRONG,
    Result,
    check_file_to_write,
    list_unreadable,
    write_whole_file,
)

# Files that are predicted, and then written, at once.
_AT_ONCE = 64


def run(arguments):
    """Predict ``arguments.images`` by ``arguments.model``, and write or show the answers."""
    paths = _list_files(arguments.images)
    if arguments.out is not None:
        check_file_to_write(arguments.out, arguments.force, [arguments.model, *paths])
    classifier = load_classifier(arguments.model, arguments.runtime)
    names = class_names(classifier)
    answers = _Answers(classifier, names, paths)
    document = {"model": arguments.model, "out": arguments.out, "classes": names}
    if arguments.out is None:
        document["predictions"] = list(answers)
        lines = _table_of_answers(document["predictions"], names)
    else:
        _write_answers(answers, names, arguments.out, len(paths))
        n_read = sum(path not in answers.unreadable for path in paths)
        images = counted(len(paths), "image")
        lines = [f"{printable(arguments.out)}: answers for {n_read:,} of {images}"]
    document |= {"n_images": len(paths), "n_known": answers.n_known}
    document |= {"unreadable": answers.unreadable}
    lines += say_known(answers.n_known, len(paths)) + list_unreadable(answers.unreadable)
    status = SOMETHING_WRONG if answers.unreadable else DONE
    return Result(status, "\n".join(lines).lstrip("\n"), document)


def _list_files(given):
    """Return files as they are, and for a folder its images."""
    paths = []
    for path in given:
        paths += load_images(path).tolist() if os.path.isdir(path) else [path]
    return paths


class _Answers:
    """A dict for each file, in order; files are read and predicted when they are asked for.

    Attributes
    ----------
    unreadable : dict of {str: str}
        What is wrong with files that cannot be read, by path, so far.
    n_known : int or None
        How many files the classifier learnt from, so far; None where nobody knows.
    """

    def __init__(self, classifier, names, paths):
        self._classifier, self._names, self._paths = classifier, names, paths
        self.unreadable = {}
        self.n_known = 0

    def __iter__(self):
        n_images = len(self._paths)
        bar = ProgressBar(n_images, f"Predicting {counted(n_images, 'image')}")
        bar.start()
        for start in range(0, n_images, _AT_ONCE):
            some = self._paths[start : start + _AT_ONCE]
            found = self._predict_readable(some)
            for path in some:
                answer = {"file": path, "prediction": None, "probabilities": None, "reason": None}
                if path in self.unreadable:
                    answer["reason"] = self.unreadable[path]
                else:
                    number, probabilities = found[path]
                    answer["prediction"] = self._names[number]
                    answer["probabilities"] = dict(
                        zip(self._names, probabilities.tolist(), strict=True)
                    )
                yield answer
            bar.show(start + len(some))
        bar.close()

    def _predict_readable(self, paths):
        """Return number of class and probabilities of each file that can be read, by path."""
        left = [path for path in paths if path not in self.unreadable]
        while left:
            try:
                predicted, probabilities, n_known = predict_files(self._classifier, left)
            except ImageReadError as error:  # it names all files of which it knows
                bad = {path: error.reasons[path] for path in left if path in error.reasons}
                if not bad:
                    raise
                self.unreadable |= bad
                left = [path for path in left if path not in bad]
            except ValueError as error:  # such as of LungFields, where two lungs are not found
                if len(left) == 1:
                    self.unreadable[left[0]] = " ".join(str(error).split())
                    return {}
                half = len(left) // 2
                return self._predict_readable(left[:half]) | self._predict_readable(left[half:])
            else:
                self.n_known = None if n_known is None else (self.n_known or 0) + n_known
                return dict(zip(left, zip(predicted, probabilities, strict=True), strict=True))
        return {}


def _write_answers(answers, names, out, n_images):
    """Write a CSV file, a row for each file."""
    n_written = 0
    try:
        with write_whole_file(out) as file:
            table = csv.writer(file)
            columns = [f"probability_{name}" for name in names]
            table.writerow(["file", "prediction", *columns, "reason"])
            for answer in answers:
                probabilities = answer["probabilities"] or {}
                numbers = [f"{probabilities[name]:.6g}" if probabilities else "" for name in names]
                texts = (answer["file"], answer["prediction"] or "", answer["reason"] or "")
                file_name, prediction, reason = map(_never_a_formula, texts)
                table.writerow([file_name, prediction, *numbers, reason])
                n_written += 1
                if n_written % _AT_ONCE == 0:
                    file.flush()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"after {n_written:,} of {counted(n_images, 'image')}, whose answers are in "
            f"{out + '.unfinished'!r}"
        ) from None


def _never_a_formula(text):
    """Return the text of a cell that no spreadsheet takes for a formula, which it would run."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _table_of_answers(answers, names):
    """Return the answers for the files that can be read, as lines of text."""
    cells = [["file", "prediction", *map(printable, names)]]
    for answer in answers:
        if answer["reason"] is None:
            numbers = [f"{answer['probabilities'][name]:.3f}" for name in names]
            cells.append([printable(answer["file"]), printable(answer["prediction"]), *numbers])
    return text_table(cells) if len(cells) > 1 else []
