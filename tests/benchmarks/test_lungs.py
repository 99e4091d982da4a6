"""What LungFields does, measured: planted sets, hospitals, masks by persons, and the command."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungestimators import make_chest_xrays

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    ours = ("lungs", "lung_trials", "comparison", "pretraining")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("fault", ["marker", "border", "collimation", "exposure"])
def test_a_planted_fault_is_in_all_images_of_one_class_alone(benchmarks, fault):
    planted = benchmarks("lung_trials.planted")
    clean, y = planted.planted_set("none", 12, 3)
    X, same = planted.planted_set(fault, 12, 3)
    np.testing.assert_array_equal(same, y)
    assert ((clean != X).any(axis=(1, 2)) == (y == 1)).all()


def test_in_the_first_hospital_alone_the_device_tells_the_sick(benchmarks):
    hospitals = benchmarks("lung_trials.hospitals")

    def share_in_bed(X, y):
        in_bed = (X[:, :3] == 0).all(axis=(1, 2)) & (X[:, :, :3] == 0).all(axis=(1, 2))
        return in_bed[y == 0].mean(), in_bed[y == 1].mean()

    first, second = hospitals.first_and_second(60, 5)
    healthy, sick = share_in_bed(*first)
    assert sick - healthy > 0.3
    healthy, sick = share_in_bed(*second)
    assert abs(sick - healthy) < 0.3
    assert second[1].mean() == pytest.approx(0.3)


def test_a_problem_of_lungs_alone_counts_what_stays_whole(benchmarks):
    problems = benchmarks("comparison.problems")
    X, y = make_chest_xrays(6, random_state=0)
    X[y == 2] = 0
    problem = problems.Problem("synthetic", X, y, ["a", "b", "c"], None, True)
    with pytest.warns(UserWarning, match="Two lungs were not found in 2 of 6"):
        found = problems.only_lungs(problem, "mask")
    assert found.name == "synthetic-lungs-mask"
    assert (found.X.shape, found.X.dtype) == ((6, 224, 224), np.uint8)
    assert found.note.endswith("images that stay whole: a: 0, b: 0, c: 2)")


@pytest.fixture
def outlined(tmp_path, monkeypatch):
    """Three radiographs, of which the last is black, and a folder of masks for each lung."""
    X, _, masks = make_chest_xrays(3, image_size=128, return_masks=True, random_state=1)
    X[2] = 0
    monkeypatch.chdir(tmp_path)
    for folder in ("left", "right"):
        Path(folder).mkdir()
    for number, (image, mask) in enumerate(zip(X, masks, strict=True)):
        Image.fromarray(image).save(f"{number}.png")
        for folder, half in (("left", np.s_[:, 64:]), ("right", np.s_[:, :64])):
            part = np.zeros((128, 128), np.uint8)
            part[half] = 255 * mask[half]
            # Masks may be of another size than their images.
            Image.fromarray(part).resize((256, 256)).save(Path(folder, f"{number}_mask.png"))
    return [f"{number}.png" for number in range(3)]


def test_masks_by_persons_are_compared_with_what_is_found(benchmarks, outlined, capsys):
    lungs = benchmarks("lungs")
    both = [Path("left"), Path("right")]
    iou, missing, added = lungs.outlines.score_against_masks(outlined, both).T
    assert (iou[:2] > 0.9).all()
    assert (missing[:2] < 0.1).all()
    assert (added[:2] < 0.1).all()
    assert (iou[2], missing[2], added[2]) == (0, 1, 0)
    # Half of the mask alone: the other lung is added.
    _, missing, added = lungs.outlines.score_against_masks(outlined[:2], both[:1]).T
    assert (missing < 0.1).all()
    assert (added > 0.5).all()
    assert lungs.main(["--masks", "left", "right", "--images", *outlined]) == 0
    assert "Radiographs: 3, of which 1 were refused" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        lungs.main(["--images", *outlined])
    assert "--images needs one of them" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        lungs.main(["--images", *outlined, "--masks", "left", "--quick"])
    assert "does not go with" in capsys.readouterr().err


def test_an_image_is_no_mask_of_itself_and_masks_that_mislead_are_named(
    benchmarks, outlined, capsys
):
    lungs = benchmarks("lungs")
    here = Path.cwd()
    assert lungs.main(["--masks", str(here), "--images", *outlined]) == 1
    assert f"{here} has 0 masks of 0.png, and needs one" in capsys.readouterr().err

    def error_with(mask):
        mask.save("0-mask.png")
        with pytest.raises(ValueError) as caught:
            lungs.outlines.score_against_masks(outlined[:1], [here])
        return str(caught.value)

    assert "0-mask.png shows no lung" in error_with(Image.new("L", (128, 128), 1))
    assert "the proportions must be the same" in error_with(Image.new("L", (128, 64), 255))
    Image.new("L", (128, 128), 255).save("0_mask.png")
    assert "has 2 masks of 0.png" in error_with(Image.new("L", (128, 128), 255))
    Path("0_mask.png").unlink()
    with pytest.raises(ValueError, match="differ in size"):
        lungs.outlines.score_against_masks(outlined[:1], [here, Path("left")])


@pytest.mark.slow
def test_the_command_measures_and_writes_a_page_for_each_part(benchmarks, tmp_path, monkeypatch):
    lungs = benchmarks("lungs")
    ways = {way: lungs.shortcuts.WAYS[way] for way in ("whole image", "crop", "mask, equalised")}
    monkeypatch.setattr(lungs.shortcuts, "WAYS", ways)
    assert lungs.main(["--quick", "--out", str(tmp_path)]) == 0
    parts = [part for part in lungs.PARTS if part != "radiographs"]
    assert {page.stem for page in tmp_path.glob("*.md")} == set(parts)
    for part in parts:
        page = (tmp_path / f"{part}.md").read_text(encoding="utf-8")
        assert "the numbers mean nothing" in page
        assert f"--parts {part}" in page
    assert "| mask, equalised" in (tmp_path / "marker.md").read_text(encoding="utf-8")
    lungs.main(["--quick", "--out", str(tmp_path / "one"), "--parts", "outlines"])
    assert [page.name for page in (tmp_path / "one").iterdir()] == ["outlines.md"]
