"""Where the images come from, and the credit that their licences ask for."""

from collections import Counter

_CC_BY_4 = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
_CC_BY_3 = "CC BY 3.0, https://creativecommons.org/licenses/by/3.0/"
_WANG = (
    "Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM, ChestX-ray8: Hospital-scale Chest X-ray "
    "Database and Benchmarks on Weakly-Supervised Classification and Localization of Common Thorax "
    "Diseases, IEEE CVPR 2017, 3462-3471"
)
_CHANGES = "grey, resized to squares, and used to learn weights; no image is in this file"

SOURCES = {
    "kermany_train": dict(
        title="Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for "
        "Classification, folder train",
        licence=_CC_BY_4,
        attribution="Kermany D, Zhang K, Goldbaum M, Mendeley Data, doi 10.17632/rscbjbr9sj; "
        "Kermany DS et al., Cell 2018;172(5):1122-1131",
    ),
    "nih_chestxray14": dict(
        title="ChestX-ray14, 1049 of its images",
        licence="no restrictions on use",
        attribution="NIH Clinical Center, the data provider, "
        f"https://nihcc.app.box.com/v/ChestXray-NIHCC; {_WANG}",
    ),
    "rsna_nih_normal": dict(
        title="RSNA Pneumonia Detection Challenge 2018, images that radiologists read as normal, "
        "which are images of ChestX-ray14",
        licence="NIH: no restrictions on use; RSNA: academic research, education and other "
        "commercial or non-commercial purposes, with attribution",
        attribution="Shih G et al., Augmenting the National Institutes of Health Chest Radiograph "
        "Dataset with Expert Annotations of Possible Pneumonia, Radiology: Artificial Intelligence "
        f"2019;1(1):e180041; NIH Clinical Center, the data provider; {_WANG}. Reached through the "
        "COVID-19 Radiography Database",
    ),
    "hannover_covid": dict(
        title="COVID-19 Image Repository, Hannover Medical School",
        licence=_CC_BY_3,
        attribution="Winther HB, Laser H, Gerbel S, Maschke SK, Hinrichs JB, Vogel-Claussen J, "
        "Wacker FK, Höper MM, Meyer BC, doi 10.25835/0090041",
    ),
    "synthetic": dict(
        title="synthetic radiographs of lungestimators.make_chest_xrays",
        licence="BSD-3-Clause",
        attribution="the lungestimators developers",
    ),
}


def credit(rows):
    """Return the sources of images as plain data, with the number of images of each.

    Parameters
    ----------
    rows : list of dict
        As ``list_radiographs`` returns them.

    Returns
    -------
    list of dict of str to str or int
    """
    counts = Counter(row["source"] for row in rows)
    return [
        SOURCES[source] | dict(n_images=count, changes=_CHANGES) for source, count in counts.items()
    ]
