"""Which files below a folder are images, and which are left out: masks, links, system files."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from lungestimators import ImageReadError, load_image_folder, load_images
from tests.datasets.folders import link, rows, save

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")

# Masks


def radiography_database(folder):
    """As the COVID-19 Radiography Database has it."""
    for label in ("COVID", "Normal"):
        for part in ("images", "masks"):
            save(folder, f"{label}/{part}/{label}-1.png", f"{label}/{part}/{label}-2.png")
        (folder / f"{label}.metadata.xlsx").write_bytes(b"PK")
    (folder / "README.md.txt").write_text("...")


def test_masks_beside_images_are_left_out_and_that_is_said(tmp_path):
    radiography_database(tmp_path)
    with pytest.warns(UserWarning, match=r"Left out of .*: 4 masks \('COVID/masks/COVID-1\.png'"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {
        (f"{label}/images/{label}-{n}.png", label, None)
        for label in ("COVID", "Normal")
        for n in (1, 2)
    }
    assert "4 masks ('COVID/masks/COVID-1.png'" in lungs.DESCR
    assert "3 files that are no images ('COVID.metadata.xlsx'" in lungs.DESCR


@pytest.mark.parametrize(
    "name", ["Masks", "lung masks", "infection_mask", "lungmasks", "mask/left"]
)
def test_folders_of_masks_have_many_names(tmp_path, name):
    save(tmp_path, "a/1.png", f"a/{name}/1.png", "b/1.png")
    with pytest.warns(UserWarning, match=r": 1 mask \("):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/1.png", "a", None), ("b/1.png", "b", None)}


@pytest.mark.parametrize("name", ["masked", "Maskell", "unmasking"])
def test_folders_that_only_sound_like_masks_are_read(tmp_path, name):
    save(tmp_path, f"a/{name}/1.png", "b/1.png")
    expected = {(f"a/{name}/1.png", "a", None), ("b/1.png", "b", None)}
    assert rows(load_image_folder(tmp_path), tmp_path) == expected


def test_masks_beside_their_images_are_left_out(tmp_path):
    """As the breast ultrasound images of Al-Dhabyani et al. have them."""
    save(tmp_path, "a/a (1).png", "a/a (1)_mask.png", "a/a (1)_mask_1.png", "b/1.png")
    save(tmp_path, "b/no other_mask.png")
    with pytest.warns(UserWarning, match=": 2 masks"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {
        ("a/a (1).png", "a", None),
        ("b/1.png", "b", None),
        ("b/no other_mask.png", "b", None),
    }


def test_a_class_of_masks_alone_is_an_error_that_says_so(tmp_path):
    save(tmp_path, "a/1.png", "b/masks/1.png")
    with pytest.raises(ValueError, match=r"no image file in \['b'\].*Left out: 1 mask \("):
        load_image_folder(tmp_path)


# What systems leave behind


def test_what_systems_leave_behind_is_passed_over_and_counted(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png", "__MACOSX/a/._1.png", "__MACOSX/b/2.png", "a/._1.png")
    save(tmp_path, ".cache/1.png", "@eaDir/1.png", "a/@eaDir/1.png", "b/Thumbs.db", "b/desktop.ini")
    (tmp_path / ".DS_Store").write_bytes(b"Bud1")
    (tmp_path / "a" / "notes.txt").write_text("...")
    (tmp_path / "all.zip").write_bytes(b"PK")
    lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/1.png", "a", None), ("b/1.png", "b", None)}
    # __MACOSX, .cache, @eaDir, .DS_Store; a/._1.png, a/@eaDir; b/Thumbs.db, b/desktop.ini
    assert "8 hidden files and those of operating systems" in lungs.DESCR
    assert "2 files that are no images ('a/notes.txt', 'all.zip')" in lungs.DESCR


def test_nothing_left_out_is_not_spoken_of(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png")
    assert "Left out" not in load_image_folder(tmp_path).DESCR


def test_images_beside_the_class_folders_are_said(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png", "overview.png", "IM0001")
    with pytest.warns(UserWarning, match=r"2 images beside the folders.*'IM0001', 'overview\.png'"):
        lungs = load_image_folder(tmp_path)
    assert "2 images beside the folders that are read ('IM0001', 'overview.png')" in lungs.DESCR


# Links


def test_linked_folders_and_files_are_followed(tmp_path):
    save(tmp_path, "elsewhere/ill/1.png", "elsewhere/3.png", "lungs/well/2.png")
    link(tmp_path, "lungs/ill", tmp_path / "elsewhere" / "ill")
    link(tmp_path, "lungs/well/more", Path("..", "..", "elsewhere", "well"))
    link(tmp_path, "lungs/well/3.png", tmp_path / "elsewhere" / "3.png")
    save(tmp_path, "elsewhere/well/4.png")
    assert rows(load_image_folder(tmp_path / "lungs"), tmp_path / "lungs") == {
        ("ill/1.png", "ill", None),
        ("well/2.png", "well", None),
        ("well/3.png", "well", None),
        ("well/more/4.png", "well", None),
    }


def test_a_pool_of_images_that_splits_link_to_is_not_read_twice(tmp_path):
    save(tmp_path, "all/1.png", "all/2.png", "all/3.png")
    link(tmp_path, "train/a/1.png", tmp_path / "all" / "1.png")
    link(tmp_path, "train/b/2.png", tmp_path / "all" / "2.png")
    with pytest.warns(UserWarning, match=r"1 image beside .*'all/3\.png'"):
        lungs = load_image_folder(tmp_path)
    assert len(lungs.data) == 2


@pytest.mark.parametrize("to", [".", "..", "../..", "../../../a", "../../.."])
def test_a_loop_of_links_ends(tmp_path, to):
    save(tmp_path, "train/a/deep/1.png", "train/b/1.png")
    link(tmp_path, "train/a/deep/loop", to)
    if to == "../../../a":
        (tmp_path / "a").symlink_to(tmp_path / "train" / "a")
    lungs = load_image_folder(tmp_path / "train" if to == "../../../a" else tmp_path)
    assert len(lungs.data) == 2
    assert lungs.target.tolist() == ["a", "b"]
    assert "1 link to a folder that it lies in (" in lungs.DESCR


def test_a_link_to_an_image_of_the_same_class_is_left_out_and_said(tmp_path):
    save(tmp_path, "a/2024/1.png", "b/1.png")
    link(tmp_path, "a/latest", "2024")
    with pytest.warns(UserWarning, match="1 link to an image that is there already"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/2024/1.png", "a", None), ("b/1.png", "b", None)}


@pytest.mark.parametrize("other", ["train/b/2.png", "test/a/2.png"])
def test_a_link_into_another_class_or_split_is_an_error(tmp_path, other):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png")
    link(tmp_path, other, tmp_path / "train" / "a" / "1.png")
    with pytest.raises(ValueError, match=r"'train/a/1\.png' are one file, through a link"):
        load_image_folder(tmp_path)


def test_links_that_lead_nowhere_are_said(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png")
    link(tmp_path, "a/2.png", "missing.png")
    link(tmp_path, "b/self", "self")
    link(tmp_path, "c", "missing")
    with pytest.warns(
        UserWarning, match=r"3 links that lead nowhere \('a/2\.png', 'b/self', 'c'\)"
    ):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/1.png", "a", None), ("b/1.png", "b", None)}


# Permissions


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder that must not be read, for root as well."""
    save(tmp_path, "a/1.png", "a/closed/2.png", "b/1.png")
    scandir = os.scandir

    def refuse(path="."):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return tmp_path


def test_a_folder_without_permission_is_an_error_that_names_it(closed):
    for load in (load_image_folder, load_images):
        with pytest.raises(PermissionError, match=r"1 folder must not be read \('.*a/closed'\)"):
            load(closed)
    with pytest.raises(PermissionError, match="must not be read"):
        load_images(closed / "a" / "closed")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has permissions of another kind")
def test_the_systems_own_refusal_is_the_same_error():
    """Root reads everything: a process that gives its rights up has to ask."""
    program = (
        "import os, sys; from PIL import Image\n"
        "from lungestimators.datasets import load_images\n"
        "Image.init()\n"
        "if not os.getuid(): os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: print(len(load_images(sys.argv[1])))\n"
        "except Exception as error: print(repr(error))"
    )

    def listed(folder):
        command = [sys.executable, "-c", program, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # every user may go there
        save(Path(folder), "1.png", "shut/2.png")
        for path in (Path(folder), Path(folder, "shut")):
            path.chmod(0o755)
        assert listed(folder).strip() == "2"
        Path(folder, "shut").chmod(0)
        assert "PermissionError" in listed(folder)
        assert "1 folder must not be read" in listed(folder)
        Path(folder, "shut").chmod(0o755)


def test_the_description_of_names_that_are_not_utf_8_can_be_printed(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    ill = os.fsdecode(b"mal\xe9")
    save(folder, f"{ill}/1.png", "well/1.png")
    lungs = load_image_folder(folder)
    assert lungs.target_names == [ill, "well"]
    assert lungs.DESCR.startswith(r"2 images from the folder caf\udce9 (mal\udce9: 1, well: 1).")


# Which files are images


def test_every_image_is_found_whatever_it_is_called(tmp_path):
    grey = Image.new("L", (8, 8))
    (tmp_path / "a").mkdir()
    for suffix in ("png", "jpg", "JPEG", "tif", "bmp", "webp", "jp2", "pgm"):
        grey.save(tmp_path / "a" / f"1.{suffix}")
    save(tmp_path / "a", "IM0001", "1.2.840.113.7", "series/2.unknown")
    save(tmp_path, "b/1.png")
    lungs = load_image_folder(tmp_path)
    assert lungs.target.tolist() == ["a"] * 11 + ["b"]


def test_what_is_no_image_is_passed_over(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png", "a/.2.png", "a/.ipynb_checkpoints/1.png", "a/Thumbs.db")
    (tmp_path / "a" / "folder.png").mkdir()
    for name in ("notes.txt", "labels.csv", "README", "empty", "weights.h5", "report.pdf"):
        (tmp_path / "a" / name).write_text("patient,finding\n" * (name != "empty"))
    # Pillow knows this one by its content too, and cannot decode it.
    (tmp_path / "a" / "features.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    lungs = load_image_folder(tmp_path)
    assert lungs.target.tolist() == ["a", "b"]


def test_a_broken_file_with_an_images_suffix_is_an_error_where_it_is_read(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b" / "2.png").write_bytes(b"not a picture")
    assert len(load_image_folder(tmp_path).data) == 3
    with pytest.raises(ImageReadError, match=r"2\.png"):
        load_image_folder(tmp_path, as_array=True)


def test_dicom_files_are_found_without_a_suffix_as_well(tmp_path, real_data):
    for number, file in enumerate(sorted((real_data / "dicom" / "chest").glob("*.dcm"))):
        name = f"{number % 2}/{file.name if number < 3 else f'1.2.840.{number}'}"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / name)
    shutil.copy(file, tmp_path / "0" / "DICOMDIR")
    assert load_image_folder(tmp_path).target.tolist() == ["0"] * 3 + ["1"] * 2
