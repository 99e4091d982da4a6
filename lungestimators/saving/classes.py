"""The closed list of classes that a file may name, and where each of them is.

Nothing is imported by a name that a file states: a file names an entry of this list, and the list
says the module. Classes are imported when a file names them.
"""

import importlib

_OWN = {
    "BackboneClassifier": "..classifiers",
    "BackboneFeatures": "..features",
    "BorderCrop": "..preprocessing",
    "CLAHE": "..preprocessing",
    "CNNClassifier": "..classifiers",
    "DenseNetClassifier": "..classifiers",
    "ImageReader": "..preprocessing",
    "LungFields": "..preprocessing",
    "MobileNetClassifier": "..classifiers",
}
# Their state is plain data, arrays, and estimators of this list. scikit-learn's trees, kernels and
# nearest neighbours are no plain data: libsvm and Cython take their arrays without a check.
_SKLEARN = {
    "CalibratedClassifierCV": "sklearn.calibration",
    "FixedThresholdClassifier": "sklearn.model_selection",
    "FrozenEstimator": "sklearn.frozen",
    "GaussianNB": "sklearn.naive_bayes",
    "GroupKFold": "sklearn.model_selection",
    "IsotonicRegression": "sklearn.isotonic",
    "KFold": "sklearn.model_selection",
    "LabelBinarizer": "sklearn.preprocessing",
    "LabelEncoder": "sklearn.preprocessing",
    "LinearDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "LinearSVC": "sklearn.svm",
    "LogisticRegression": "sklearn.linear_model",
    "MaxAbsScaler": "sklearn.preprocessing",
    "MinMaxScaler": "sklearn.preprocessing",
    "Normalizer": "sklearn.preprocessing",
    "PCA": "sklearn.decomposition",
    "Pipeline": "sklearn.pipeline",
    "RidgeClassifier": "sklearn.linear_model",
    "RobustScaler": "sklearn.preprocessing",
    "StandardScaler": "sklearn.preprocessing",
    "StratifiedGroupKFold": "sklearn.model_selection",
    "StratifiedKFold": "sklearn.model_selection",
    "TunedThresholdClassifierCV": "sklearn.model_selection",
    "VotingClassifier": "sklearn.ensemble",
    # Parts of a CalibratedClassifierCV.
    "_CalibratedClassifier": "sklearn.calibration",
    "_SigmoidCalibration": "sklearn.calibration",
    "_TemperatureScaling": "sklearn.calibration",
}


def is_own_class(name):
    """Return whether a class of the list is of this package."""
    return name in _OWN


def find_class(name):
    """Return the class of a name, or raise a ValueError where it is not on the list."""
    if not isinstance(name, str) or name not in _OWN | _SKLEARN:
        raise ValueError(
            f"it names the class {str(name)[:80]!r}, which is not on the list of classes that a "
            "file may hold"
        )
    module = importlib.import_module((_OWN | _SKLEARN)[name], __package__)
    return getattr(module, name)


def name_on_list(cls):
    """Return the name of a class that is on the list, and None for any other class."""
    name = cls.__name__
    return name if name in _OWN | _SKLEARN and find_class(name) is cls else None


def names_for_users():
    """Return the public names of the list, as a text."""
    return ", ".join(sorted(name for name in _OWN | _SKLEARN if name[0] != "_"))
