"""Number the pictures that images show, their copies, and the groups that share a picture."""

from collections import defaultdict

import numpy as np
from scipy import sparse


def number_pictures(n, pairs):
    """Number the pictures that n images show; images that pairs connect show one picture.

    Returns
    -------
    ndarray of shape (n,), int
    """
    return _number_linked_images(n, (pairs.first, pairs.second))


def join_groups_that_share_pictures(pictures, groups):
    """Number the groups that the images of one picture and the given groups form together.

    Parameters
    ----------
    pictures : ndarray of shape (n,), int
        Number of the picture that each image shows.
    groups : ndarray of shape (n,), or None

    Returns
    -------
    ndarray of shape (n,), int
    """
    links = [_links_of_pictures_or_groups(pictures)]
    if groups is not None:
        links.append(_links_of_pictures_or_groups(groups))
    return _number_linked_images(len(pictures), *links)


def _links_of_pictures_or_groups(values):
    """Link every row to the first row that has its value."""
    _, first, number = np.unique(values, return_index=True, return_inverse=True)
    return first[number], np.arange(len(values))


def _number_linked_images(n, *links):
    """Number the connected components of n nodes in the order of their first nodes.

    Parameters
    ----------
    n : int
    *links : tuple of (ndarray, ndarray)
        Nodes that belong together, pair by pair.

    Returns
    -------
    ndarray of shape (n,), int
    """
    first, second = (np.concatenate(ends) for ends in zip(*links, strict=True))
    graph = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    component = sparse.csgraph.connected_components(graph, directed=False)[1]
    _, start, number = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(start))[number]


def copies_of_each_picture(pictures):
    """List the rows of each picture that two images or more show: list of ndarray of int."""
    rows = defaultdict(list)
    for row, number in enumerate(pictures.tolist()):
        rows[number].append(row)
    return [np.array(several) for several in rows.values() if len(several) > 1]


def one_image_of_each_picture(pictures, labels, is_visible):
    """Choose one image of each picture, and none of a picture whose copies differ in label.

    Parameters
    ----------
    pictures : ndarray of shape (n,), int
        Number of the picture that each image shows.
    labels : list of n labels
    is_visible : ndarray of shape (n,), bool
        Which images can be read and show anything.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    keep = is_visible.copy()
    for copies in copies_of_each_picture(pictures):
        keep[copies[1:]] = False
        keep[copies[0]] &= len({labels[row] for row in copies}) == 1
    return keep
