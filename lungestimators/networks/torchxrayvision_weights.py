"""torchxrayvision's DenseNet121, learnt from radiographs of many hospitals: downloads its file."""

import urllib.parse

from sklearn.datasets import fetch_file

from .imagenet_weights import OTHER_WEIGHTS, can_connect, folder_of_downloaded_weights

# The weights that torchxrayvision calls densenet121-res224-all (Cohen et al., MIDL 2022). Its
# authors publish the same file, with this digest, in their own repository of models.
_URL = (
    "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
    "nih-pc-chex-mimic_ch-google-openi-kaggle-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-"
    "best.pt"
)
_SHA256 = "56524913dd16a906422e8d8b66a7a5c46be1d82eb7ac012d8103776f1aa68899"


def find_torchxrayvision_weights(network):
    """Return the path of torchxrayvision's weights; download them once, beside Keras' own.

    Parameters
    ----------
    network : str
        Name of the function that builds the network.

    Raises
    ------
    ValueError
        There are none of this network.
    FileNotFoundError
        The file cannot be downloaded, or is not the published one.
    """
    if network != "DenseNet121":
        raise ValueError(
            f"There are no weights='torchxrayvision' of {network}, but of DenseNet121: use "
            "DenseNetClassifier, or the backbone 'DenseNet121'"
        )
    folder = folder_of_downloaded_weights()
    name = _URL.rsplit("/", 1)[1]
    try:
        if not ((folder / name).exists() or can_connect(urllib.parse.urlsplit(_URL).hostname)):
            raise OSError("the host does not answer at once")
        folder.mkdir(parents=True, exist_ok=True)
        return fetch_file(_URL, folder=folder, local_filename=name, sha256=_SHA256, n_retries=0)
    except OSError as error:
        raise FileNotFoundError(
            f"weights='torchxrayvision' could not be downloaded: {error}. Put the file {name!r} "
            f"from {_URL} into {folder}, or pass its path as weights=. {OTHER_WEIGHTS}"
        ) from error
