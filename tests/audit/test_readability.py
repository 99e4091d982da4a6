"""What cannot be read and what is empty is reported, and left out."""

import json
import os

import numpy as np
import pydicom
import pydicom.data
from PIL import Image

from lungestimators.audit import summaries

from .small_audits import audit


def test_unreadable_and_empty_files_are_reported_and_left_out(chests, tmp_path):
    X, y = chests
    paths = [tmp_path / f"{row}.png" for row in range(60)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    paths[7].write_bytes(paths[7].read_bytes()[:900])
    paths[8].write_text("no image")
    paths[9].unlink()
    black = np.zeros((128, 128), np.uint8)
    black[:8, :8] = 255
    for row in (20, 21):
        Image.fromarray(black).save(paths[row])
    report = audit(paths, y)
    assert np.flatnonzero(~report.keep_).tolist() == [7, 8, 9, 20, 21]
    unreadable = report.checks["readability"]
    assert unreadable.verdict == "fault"
    assert [row["image"] for row in unreadable.rows] == ["X[7]", "X[8]", "X[9]"]
    assert unreadable.rows[2]["reason"] == "there is no such file"
    assert [row["file"] for row in report.checks["empty images"].rows] == list(
        map(str, paths[20:22])
    )
    assert report.checks["duplicates"].verdict == "ok"


def test_names_that_are_not_utf_8_can_be_printed(chests, tmp_path):
    X, y = chests
    paths = [os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9%d.png" % row) for row in range(60)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    os.link(paths[0], paths[1] + "\n")
    paths[1] += "\n"
    with open(paths[2], "wb"):
        pass
    labels = np.array([os.fsdecode(b"ill\xff"), "well"])[(y == y[0]).astype(int)]
    report = audit(paths, labels)
    for text in (str(report), report._repr_html_()):
        assert r"\udce92.png" in text.encode("utf-8").decode()
        assert r"\udce91.png\n" in text
    assert report.checks["readability"].rows[0]["file"] == paths[2]  # as it opens the file
    json.dumps(report.to_dict())


def test_a_dicom_file_whose_preamble_is_that_of_a_tiff_is_dicom(chests, tmp_path):
    X, y = chests
    source = pydicom.data.get_testdata_file("CT_small.dcm")
    paths = [str(tmp_path / f"{row}") for row in range(60)]
    for row, path in enumerate(paths):
        dataset = pydicom.dcmread(source)
        dataset.preamble = b"II*\0\x08\0\0\0\x01\0\0\x01" + bytes(116)
        dataset.Rows = dataset.Columns = 128
        dataset.PixelData = X[row].astype(np.int16).tobytes()
        dataset.save_as(path)
    report = audit(paths, y)
    assert report.checks["readability"].verdict == "ok"
    assert (
        summaries.summarise_images(paths[:1], lambda done: None)[0].properties["format"] == "DICOM"
    )
