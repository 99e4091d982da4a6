"""The arguments of each command, and its help, in words for those who do not program."""

import argparse
from typing import NoReturn

_STATUS = """\
exit status:
  0    done
  1    done, but something is wrong: a file cannot be read, an audit found a
       fault
  2    what was asked for cannot be done
  3    a fault of the program
  130  interrupted
"""

_PROGRAM = """\
Learn to recognise lung disease in images, test it and use it, without writing
a program. Not for clinical use.
"""

_PROGRAM_EXAMPLE = """\
example: from two folders of images, chest/healthy and chest/pneumonia
  lungestimators audit chest --html audit.html
  lungestimators fit chest --model densenet --out chest.lung
  lungestimators evaluate chest.lung other-hospital
  lungestimators predict chest.lung new-images --out predictions.csv
  lungestimators info chest.lung
  lungestimators export chest.lung chest.onnx

lungestimators COMMAND --help explains a command.

"""

_FOLDER = """\
FOLDER holds one folder for each class, with the name of the class:
  chest/healthy/1.png, chest/healthy/2.dcm, ..., chest/pneumonia/1.png, ...
Images are DICOM, PNG, JPEG, TIFF and all other formats that can be read.
"""

_AUDIT = f"""\
Find out whether the images of a folder are fit to learn from: files that
cannot be read, images that repeat, doubtful classes, and marks that tell the
class without the lung. Small networks are trained for the last two, which
takes minutes.

{_FOLDER}
If it has a part test/ (or val/), images of it that are also in the other part
are looked for.
"""

_AUDIT_EXAMPLE = """\
example:
  lungestimators audit chest --html audit.html

"""

_FIT = f"""\
Learn a classifier from the images of a folder, and save it in a file.

{_FOLDER}
First, a cross-validation says how good the classifier will be: the images are
divided into folds, and each fold is predicted by a classifier that learnt from
the other folds. Then a classifier learns from all images. Images of a part
test/ (or val/) are left out of both: they are for evaluate.

If a patient has several images, they must be in one fold. Names such as
patient12 or person12 in the paths are recognised; --group and --group-csv say
it in other cases.
"""

_FIT_EXAMPLE = """\
example:
  lungestimators fit chest --model densenet --out chest.lung

example: the patient is the beginning of the name, as in A17-2.png
  lungestimators fit chest --model cnn --out chest.lung --group "([A-Z]+\\d+)-"

"""

_EVALUATE = f"""\
Test a saved classifier on images whose classes are known, and from which it
did not learn.

{_FOLDER}
The classes must be those of the classifier. If the folder has a part test/ (or
val/), the images of this part are used, and no others.
"""

_EVALUATE_EXAMPLE = """\
example:
  lungestimators evaluate chest.lung other-hospital

"""

_PREDICT = """\
Say for each image which class a saved classifier gives it, and the probability
of each class.

IMAGES are files, or folders, of which all images are taken. The answers are in
the order of the files. A file that cannot be read is listed with the reason.
"""

_PREDICT_EXAMPLE = """\
example: a table in a file, which spreadsheets open
  lungestimators predict chest.lung new-images --out predictions.csv

example: two images, with the answers on the screen
  lungestimators predict chest.lung 17.dcm 18.png

"""

_INFO = """\
Say what a file of a saved classifier holds: its classes, from how many images
it learnt, what its author wrote, and versions.
"""

_INFO_EXAMPLE = """\
example:
  lungestimators info chest.lung

"""

_EXPORT = """\
Write a saved classifier as a network for other programs, which need neither
this one nor Python: pixels go in, the probability of each class comes out.

The name says the format: .onnx (ONNX), .tflite (LiteRT), .xml (OpenVINO, with
a second file .bin), and no suffix for a folder of TensorFlow (SavedModel).
"""

_EXPORT_EXAMPLE = """\
example:
  lungestimators export chest.lung chest.onnx

"""


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lungestimators: {message} ({self.prog} --help explains it)\n")


def parse_arguments(argv):
    """Read the command line.

    Parameters
    ----------
    argv : list of str or None
        None is the command line of this process.

    Returns
    -------
    argparse.Namespace
        ``command`` is the name of the module that runs it.

    Raises
    ------
    SystemExit
        Help was asked for (0), or an argument is wrong (2).
    """
    parser = _Parser(
        prog="lungestimators",
        description=_PROGRAM,
        epilog=_PROGRAM_EXAMPLE + _STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    _add_audit(commands)
    _add_fit(commands)
    _add_evaluate(commands)
    _add_predict(commands)
    _add_info(commands)
    _add_export(commands)
    return parser.parse_args(argv)


def _add_command(commands, name, summary, description, example):
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=example + _STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document for other programs; progress and notes go to stderr",
    )
    return command


def _add_audit(commands):
    summary = "are the images of a folder fit to learn from?"
    command = _add_command(commands, "audit", summary, _AUDIT, _AUDIT_EXAMPLE)
    command.add_argument("folder", metavar="FOLDER", help="one folder for each class in it")
    command.add_argument(
        "--html", metavar="PAGE", help="also write the whole report to a page for the browser"
    )
    command.add_argument(
        "--checks",
        metavar="NAMES",
        type=lambda text: [name.strip() for name in text.split(",")],
        help='run these checks alone, such as "readability,duplicates"; the report names them',
    )
    _add_groups(command)
    _add_seed(command)
    _add_force(command, "PAGE")


def _add_fit(commands):
    summary = "learn a classifier from a folder, and save it"
    command = _add_command(commands, "fit", summary, _FIT, _FIT_EXAMPLE)
    command.add_argument("folder", metavar="FOLDER", help="one folder for each class in it")
    command.add_argument(
        "--model",
        required=True,
        choices=("cnn", "mobilenet", "densenet"),
        help="densenet and mobilenet know radiographs already and need few images of yours; "
        "mobilenet is the faster one; cnn learns from your images alone",
    )
    command.add_argument(
        "--out", metavar="FILE", required=True, help="the file to save in, such as chest.lung"
    )
    command.add_argument(
        "--folds",
        metavar="N",
        type=_number_of_folds,
        default=5,
        help="folds of the cross-validation; 0 leaves it out (default: 5)",
    )
    command.add_argument(
        "--epochs",
        metavar="N",
        type=_positive_number,
        help="how often to go through the images (default: 60; cnn: 20)",
    )
    command.add_argument(
        "--image-size",
        metavar="N",
        type=_positive_number,
        help="side in pixels of the images that the network sees (default: 128; cnn: 64)",
    )
    command.add_argument(
        "--description", metavar="TEXT", help="kept in the file, for whoever you hand it to"
    )
    _add_groups(command)
    _add_seed(command)
    _add_force(command, "FILE")


def _add_evaluate(commands):
    summary = "test a saved classifier on images of known classes"
    command = _add_command(commands, "evaluate", summary, _EVALUATE, _EVALUATE_EXAMPLE)
    _add_model(command)
    command.add_argument("folder", metavar="FOLDER", help="one folder for each class in it")
    _add_groups(command)
    _add_runtime(command)


def _add_predict(commands):
    summary = "which class do images belong to?"
    command = _add_command(commands, "predict", summary, _PREDICT, _PREDICT_EXAMPLE)
    _add_model(command)
    command.add_argument("images", metavar="IMAGES", nargs="+", help="files, or folders of images")
    command.add_argument(
        "--out",
        metavar="FILE",
        help="a CSV file for the answers; without it they are shown on the screen",
    )
    _add_force(command, "FILE")
    _add_runtime(command)


def _add_info(commands):
    summary = "what is in the file of a saved classifier?"
    _add_model(_add_command(commands, "info", summary, _INFO, _INFO_EXAMPLE))


def _add_export(commands):
    summary = "write a saved classifier for other programs"
    command = _add_command(commands, "export", summary, _EXPORT, _EXPORT_EXAMPLE)
    _add_model(command)
    command.add_argument("out", metavar="OUT", help="the file, or the folder of a SavedModel")
    command.add_argument(
        "--format",
        choices=("onnx", "litert", "openvino", "saved_model"),
        help="where the name of OUT does not say it",
    )
    _add_force(command, "OUT")


def _add_model(command):
    command.add_argument("model", metavar="MODEL", help="the file that fit has saved")


def _add_runtime(command):
    command.add_argument(
        "--runtime",
        choices=("keras", "onnxruntime"),
        default="keras",
        help="what runs the networks (default: keras); onnxruntime starts sooner and needs no "
        "TensorFlow",
    )


def _add_groups(command):
    either = command.add_mutually_exclusive_group()
    either.add_argument(
        "--group",
        metavar="PATTERN",
        help="regular expression that finds the patient in the path of a file below FOLDER",
    )
    either.add_argument(
        "--group-csv",
        metavar="CSV",
        help="CSV file with a header; its first column is the file, its second the patient",
    )


def _add_seed(command):
    command.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        default=0,
        help="start of all random numbers; the same one gives the same result (default: 0)",
    )


def _add_force(command, what):
    command.add_argument(
        "--force", action="store_true", help=f"replace {what} if it is there already"
    )


def _positive_number(text):
    return _whole_number(text, 1, 2**31 - 1)


def _number_of_folds(text):
    if text.strip() == "1":
        raise argparse.ArgumentTypeError("1 fold leaves no images to learn from: give 2 or more")
    return _whole_number(text, 0, 2**31 - 1)


def _seed(text):
    return _whole_number(text, 0, 2**32 - 1)


def _whole_number(text, least, most):
    """Return a text as a whole number, or raise what argparse turns into its error."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
    return number
