"""Probabilities of a fitted classifier: the mean over its networks and over views of the images."""

import numpy as np

from ..features import extraction
from ..networks import augmentation, cutting


def mean_probabilities(all_parts, trained, pretrained, images, cache, n_views):
    """Return the mean of the probabilities of all networks over all views of each image.

    Parameters
    ----------
    all_parts : list of blueprints.Parts
    trained : {"head", "last_stage", "all"}
        Layers that the fit has trained.
    pretrained : bool
        Whether the networks began with the same backbone, not with random weights of their own.
    images : PreparedImages
    cache : {"memory", None} or str
        Where features of frozen layers are kept; None where all layers have learnt.
    n_views : int
        How many views: the image itself, and ``n_views - 1`` gently augmented ones.

    Returns
    -------
    ndarray of shape (len(images), n_classes), float64
    """
    if trained == "last_stage" and all_parts[0].backbone.runtime != "keras":
        trained = "all"  # to cut a network takes Keras
    if trained == "all":
        cache = None
    probabilities = np.empty((len(all_parts), len(images), all_parts[0].head.n_outputs))
    total = np.zeros(probabilities.shape[1:])
    for view in _views_of_prediction(n_views):
        for first, numbers in _networks_that_images_pass(all_parts, trained, pretrained):
            for rows, vectors in extraction.stream_features(first, images, cache, **view):
                # Networks that learnt whole have run side by side; a frozen part is common to all.
                own = np.split(vectors, len(numbers), axis=1) if trained == "all" else None
                for place, number in enumerate(numbers):
                    backbone, head = all_parts[number]
                    features = vectors if own is None else own[place]
                    if trained == "last_stage":
                        features = cutting.cut_last_stage(backbone).run(features)
                    probabilities[number, rows] = head.run(features)
        total += (probabilities / probabilities.sum(axis=2, keepdims=True)).sum(axis=0)
    return total / (len(all_parts) * n_views)


def _views_of_prediction(n_views):
    """Return arguments of ``stream_features`` for each view: the image itself, then others.

    A view follows from the image and the number of the view alone, so that a prediction depends on
    no seed and on no other image.
    """
    gentle = augmentation.augmentation_as_json(True)
    return [{}] + [
        {"augment": gentle, "view": f"{gentle} prediction {number}".encode()}
        for number in range(1, n_views)
    ]


def _networks_that_images_pass(all_parts, trained, pretrained):
    """Return each network that images run through, with the numbers of the parts that go on."""
    numbers = range(len(all_parts))
    if trained == "all":  # images are read and prepared once for all of them
        return [(_SideBySide([parts.backbone for parts in all_parts]), numbers)]
    frozen = [cutting.cut_frozen_part(parts.backbone, trained) for parts in all_parts]
    if pretrained:
        return [(frozen[0], numbers)]
    return [(network, [number]) for number, network in zip(numbers, frozen, strict=True)]


class _SideBySide:
    """Backbones that run on the same images; their vectors are joined.

    Parameters
    ----------
    backbones : list of blueprints.Blueprint
    """

    def __init__(self, backbones):
        self._backbones = backbones

    def run(self, images):
        """Return the joined vectors of images, one row an image."""
        return np.concatenate([backbone.run(images) for backbone in self._backbones], axis=1)
