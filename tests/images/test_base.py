"""With on_error="skip" files that cannot be read are left out, and recorded."""

import numpy as np
import pytest

from lungestimators import CNNClassifier, ImageReadError

from .image_files import damage, save


def test_files_that_hold_nan_are_skipped_like_other_bad_ones(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.tif", np.ones((8, 8), np.float32)) for number in range(6)]
    for number in (1, 4):
        save(tmp_path / f"{number}.tif", np.full((8, 8), np.nan, np.float32))
    with pytest.raises(ImageReadError, match=r"1\.tif' \(it holds NaN.*4\.tif"):
        cnn.fit(paths, [0, 1] * 3)
    cnn.set_params(on_error="skip")
    with pytest.warns(UserWarning, match="Left out"):
        assert list(cnn.fit(paths, [0, 1] * 3).skipped_) == [paths[1], paths[4]]


def test_with_skip_bad_files_are_left_out_and_recorded(tmp_path, cnn):
    paths = [
        save(tmp_path / f"{number}.tif", compression="tiff_adobe_deflate") for number in range(8)
    ]
    y, weight = np.array(list("abababab")), np.arange(1.0, 9.0)
    good = [0, 1, 3, 4, 6, 7]
    expected = cnn.fit([paths[i] for i in good], y[good], weight[good]).predict_proba(paths)
    damage(tmp_path / "2.tif")
    (tmp_path / "5.tif").unlink()
    cnn.set_params(on_error="skip")
    with pytest.warns(UserWarning, match=r"Left out: 2 of the image files") as record:
        cnn.fit(paths, y, weight, groups=list("11223344"))
    assert sum(str(w.message).startswith("Left out") for w in record) == 1
    assert list(cnn.skipped_) == [paths[2], paths[5]]
    assert cnn.skipped_[paths[5]] == "there is no such file"
    np.testing.assert_array_equal(cnn.predict_proba([paths[i] for i in good]), expected[good])
    with pytest.raises(ImageReadError, match=r"5\.tif.*no such file"):
        cnn.predict(paths)


def test_with_skip_partial_fit_leaves_out_as_well(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.png") for number in range(4)]
    (tmp_path / "3.png").write_bytes(b"")
    cnn.set_params(on_error="skip")
    for _ in range(2):
        with pytest.warns(UserWarning, match="Left out"):
            cnn.partial_fit(paths, [0, 1, 0, 1], classes=[0, 1])
    assert cnn.skipped_ == {paths[3]: "the file is empty"}


def test_where_every_file_is_bad_skip_raises(tmp_path, cnn):
    with pytest.raises(ImageReadError, match="2 of the image files"):
        cnn.set_params(on_error="skip").fit([tmp_path / "1.png", tmp_path / "2.png"], [0, 1])


def test_nothing_was_skipped_where_nothing_was_wrong(cnn, squares):
    assert cnn.fit(*squares).skipped_ == {}


def test_unknown_ways_to_treat_errors_are_refused(squares):
    with pytest.raises(ValueError, match="on_error='ignore' must be 'raise' or 'skip'"):
        CNNClassifier(on_error="ignore").fit(*squares)
