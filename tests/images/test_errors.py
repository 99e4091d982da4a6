"""One error names files that cannot be read, counts the others, and survives pickling."""

import io
import pickle
from types import TracebackType

import pytest
from tblib import pickling_support

from lungestimators import ImageReadError
from lungestimators.images import file_checks


def test_of_many_bad_files_ten_are_named_and_the_others_counted(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(15)]
    with pytest.raises(FileNotFoundError, match=r"15 of the image files.* and 5 others"):
        file_checks.check_files(paths)


def test_a_missing_file_is_both_errors_and_survives_pickling(tmp_path):
    with pytest.raises(ImageReadError) as error:
        file_checks.check_files([str(tmp_path / "nowhere.png")])
    copy = pickle.loads(pickle.dumps(error.value))
    assert isinstance(copy, FileNotFoundError)
    assert str(copy) == str(error.value)
    assert "there is no such file" in str(copy)


def test_an_error_survives_the_pickling_of_dask(tmp_path):
    with pytest.raises(ImageReadError) as error:
        file_checks.check_files([str(tmp_path / "nowhere.png")])
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream)
    pickler.dispatch_table = {
        type(error.value): pickling_support.pickle_exception,
        TracebackType: pickling_support.pickle_traceback,
    }
    pickler.dump(error.value)
    assert str(pickle.loads(stream.getvalue())) == str(error.value)
