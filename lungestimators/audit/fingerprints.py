"""Find images that show one picture: copies, rescaled, compressed, mirrored, changed in contrast.

All chests look alike, so two images are compared twice. The coarse part of their fingerprints
proposes pairs: low frequencies of the ranks of the grey values, which a change of contrast does not
alter, as it keeps the order of the values. The fine part decides: ribs and vessels, where the
detail at each place is divided by the contrast around it. The frequencies of a mirrored picture
differ in sign only.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage, stats
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

# Least cosine of the coarse parts. Copies have 0.97 and more; of the pairs of different synthetic
# chests, which are more alike than real ones, one in a thousand has as much as this.
_COARSE = 0.95
# Least correlation of the fine parts, for images of 128 pixels a side and more. Copies have 0.96
# and more, or 0.9 where the brightest parts were lost; of 3 million pairs of different synthetic
# chests the most alike have 0.84, of real ones 0.64. A copy of a small image has lost more: of real
# radiographs of 48 and 64 pixels those that were halved and brought back have 0.83 and 0.87,
# different ones 0.67; different synthetic ones have 0.80.
_FINE, _FINE_OF_SMALL = 0.88, 0.80
_SMALL = 100  # pixels a side

RULE = (
    "Two images are one picture where their pixels are identical, or where thumbnails of them "
    f"(mirrored or not) are alike in their large shapes (correlation of at least {_COARSE:g}) and "
    f"in ribs and vessels: that correlation is the similarity, at least {_FINE:.2f}, or "
    f"{_FINE_OF_SMALL:.2f} where one is below {_SMALL} pixels a side. Identical images have 1. "
    "Near: rescaled, compressed or changed in brightness or contrast."
)

_FREQUENCIES = 12  # of the coarse part, in each direction
_BATCH = 512


class Fingerprints(NamedTuple):
    """The coarse and the fine part that thumbnails are compared by; every row has length 1."""

    coarse: np.ndarray  # (n, _FREQUENCIES**2 - 1), float32
    fine: np.ndarray  # (n, side, side), float16


class Pairs(NamedTuple):
    """Pairs of images that show one picture: ``first[i] < second[i]``."""

    first: np.ndarray  # (n_pairs,), int
    second: np.ndarray  # (n_pairs,), int
    kind: np.ndarray  # (n_pairs,), "identical", "near" or "mirrored"
    similarity: np.ndarray  # (n_pairs,), float: correlation of the fine parts


def fingerprint_thumbnails(thumbnails):
    """Return the fingerprints of square thumbnails, an array of shape (n, side, side)."""
    coarse, fine = [], []
    for batch in gen_batches(len(thumbnails), _BATCH):
        pixels = thumbnails[batch].astype(np.float32)
        coarse.append(_coarse_fingerprint(pixels))
        fine.append(_fine_fingerprint(pixels))
    return Fingerprints(np.concatenate(coarse), np.concatenate(fine))


def _coarse_fingerprint(pixels):
    """Return the low frequencies of the ranks of the pixels, without the mean."""
    ranks = stats.rankdata(pixels.reshape(len(pixels), -1), axis=1).reshape(pixels.shape)
    spectrum = fft.dctn(ranks, axes=(1, 2))[:, :_FREQUENCIES, :_FREQUENCIES]
    return _normalise_fingerprints(spectrum.reshape(len(pixels), -1)[:, 1:]).astype(np.float32)


def _fine_fingerprint(pixels):
    """Return ribs and vessels: detail divided by the contrast around it."""

    def blur(field, sigma):
        return ndimage.gaussian_filter(field, (0, sigma, sigma), mode="nearest")

    detail = blur(pixels, 0.7) - blur(pixels, 2.0)
    contrast = np.sqrt(blur(detail**2, 4.0))
    # Where there is nothing to see, noise is not blown up to the contrast of the rest.
    detail /= contrast + 0.3 * contrast.mean(axis=(1, 2), keepdims=True) + 1e-9
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    unit = _normalise_fingerprints(detail.reshape(len(pixels), -1))
    return unit.reshape(pixels.shape).astype(np.float16)


def _normalise_fingerprints(rows):
    """Divide each row by its length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def find_pairs_of_fingerprints(prints, digests, sides):
    """Find the pairs of images that show one picture.

    Of images whose digests are equal, only the first is compared with the others.

    Parameters
    ----------
    prints : Fingerprints
        Of n images.
    digests : list of bytes
        Of the pixels of each.
    sides : ndarray of shape (n,), int
        The shorter side of each, in pixels.

    Returns
    -------
    Pairs
    """
    first_of = {}
    originals = np.array([first_of.setdefault(d, row) for row, d in enumerate(digests)], int)
    copies = np.flatnonzero(originals != np.arange(len(originals)))
    found = [(originals[copies], copies, np.full(len(copies), "identical"), np.ones(len(copies)))]
    rows = np.flatnonzero(originals == np.arange(len(originals)))
    if len(rows) > 1:
        found += _search_fingerprints(prints, rows, np.where(sides < _SMALL, _FINE_OF_SMALL, _FINE))
    first, second, kind, similarity = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], kind[order], similarity[order])


def _search_fingerprints(prints, rows, least):
    """Yield the near and the mirrored pairs among some rows, a batch of queries at a time.

    ``least`` is the least correlation of the fine parts of two images, for each image.
    """
    coarse = prints.coarse[rows]
    # The n-th frequency is even in n: a mirrored picture has the odd columns' signs turned.
    signs = np.where(np.arange(1, _FREQUENCIES**2) % _FREQUENCIES % 2, -1, 1).astype(np.float32)
    radius = np.sqrt(2 - 2 * _COARSE)
    index = NearestNeighbors(radius=radius, algorithm="brute").fit(coarse)
    for batch in gen_batches(len(rows), _BATCH):
        pairs = {}
        for kind, queries in (("near", coarse[batch]), ("mirrored", coarse[batch] * signs)):
            neighbours = index.radius_neighbors(queries, return_distance=False)
            first = np.repeat(np.arange(batch.start, batch.stop), list(map(len, neighbours)))
            second = np.concatenate(neighbours).astype(int)
            first, second = rows[first[first < second]], rows[second[first < second]]
            similarity = _similarity_of_fingerprints(
                prints.fine, first, second, mirrored=kind == "mirrored"
            )
            enough = similarity >= np.minimum(least[first], least[second])
            for pair in np.flatnonzero(enough):
                # A symmetrical picture is its own mirror image: the better match gives the name.
                key = first[pair], second[pair]
                if key not in pairs or pairs[key][1] < similarity[pair]:
                    pairs[key] = kind, similarity[pair]
        if pairs:
            kinds, similarities = zip(*pairs.values(), strict=True)
            first, second = np.array(list(pairs)).T
            yield first, second, np.array(kinds), np.array(similarities)


def _similarity_of_fingerprints(fine, first, second, mirrored):
    """Correlate the fine parts of pairs, some at a time: there may be very many pairs."""
    step = -1 if mirrored else 1
    similarity = np.empty(len(first))
    for start in range(0, len(first), _BATCH):
        batch = slice(start, start + _BATCH)
        a = fine[first[batch]].astype(np.float32)
        b = fine[second[batch]][:, :, ::step].astype(np.float32)
        similarity[batch] = np.einsum("nij,nij->n", a, b)
    return np.minimum(similarity, 1)
