"""What class_weight may be, and that no value of it makes a fit wrong in silence."""

import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ({"clear": -1}, ValueError, r"class_weight\['clear'\]=-1 must be finite and at least 0"),
        ({"clear": np.nan}, ValueError, r"class_weight\['clear'\]=nan must be finite"),
        ({"clear": np.inf}, ValueError, r"class_weight\['clear'\]=inf must be finite"),
        ({"clear": -np.inf}, ValueError, r"class_weight\['clear'\]=-inf must be finite"),
        ({"clear": 0, "opaque": 0}, ValueError, "class_weight=.* leaves no image"),
        ({"clear": 0}, ValueError, "class_weight=.* leaves one class only"),
        ({"clear": "2"}, TypeError, r"class_weight\['clear'\]='2' must be a number"),
        ({"clear": None}, TypeError, r"class_weight\['clear'\]=None must be a number"),
        ({"clear": True}, TypeError, r"class_weight\['clear'\]=True must be a number"),
        ({"clear": np.ones(2)}, TypeError, r"class_weight\['clear'\]=.* must be a number"),
        ([1, 2], TypeError, r"class_weight=\[1, 2\] must be .* dict\(zip\(np.unique\(y\)"),
        (np.ones(2), TypeError, "class_weight=array.* must be None, 'balanced' or a dict"),
        (pd.Series({"clear": 2}), TypeError, "class_weight=clear(.|\\n)* must be None"),
        ("balance", ValueError, "class_weight='balance' must be None, 'balanced' or a dict"),
        (2.0, TypeError, "class_weight=2.0 must be None"),
        ({"Clear": 2}, ValueError, "class_weight names the class 'Clear'.*did you mean 'clear'"),
        ({"clear ": 2}, ValueError, "class_weight names the class 'clear '.*did you mean 'clear'"),
        ({0: 2, 1: 1}, ValueError, r"class_weight names the class 0 \(int\), but .*\(str\)"),
        ({None: 2}, ValueError, "class_weight names the class None"),
    ],
)
def test_a_class_weight_that_cannot_be_meant_is_named(cnn, squares, class_weight, error, message):
    with pytest.raises(error, match=message):
        cnn.set_params(class_weight=class_weight).fit(*squares)
    assert not hasattr(cnn, "classes_")
    with pytest.raises(error, match=message):
        cnn.partial_fit(*squares, classes=["clear", "opaque"])


@pytest.mark.parametrize("key", ["1", 1.5, "one"])
def test_a_key_of_another_kind_than_the_labels_is_named(cnn, squares, key):
    X, y = squares
    number = (y == "opaque").astype(int)
    if key == 1.5:  # a number: it could be a class that y lacks
        with pytest.warns(UserWarning, match=r"class_weight names \[1.5\]"):
            cnn.set_params(class_weight={key: 2}).fit(X, number)
    else:
        with pytest.raises(ValueError, match=rf"class_weight names the class '{key}' \(str\)"):
            cnn.set_params(class_weight={key: 2}).fit(X, number)


@pytest.mark.parametrize("key", [1, 1.0, True, np.int64(1), np.float32(1), np.True_])
@pytest.mark.parametrize("kind", [int, float, bool, np.uint8])
def test_keys_that_are_equal_to_a_label_weigh_it(cnn, squares, key, kind):
    X, y = squares
    number = (y == "opaque").astype(kind)
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(X, number, sample_weight=np.where(number == 1, 5.0, 1.0))
    found = clone(cnn).set_params(class_weight={key: 5}).fit(X, number)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("weight", [5, np.float32(5), np.int8(5), Fraction(5)])
def test_a_weight_of_any_kind_of_number_is_that_number(cnn, squares, weight):
    X, y = squares
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(X, y, sample_weight=np.where(y == "opaque", 5.0, 1.0))
    found = clone(cnn).set_params(class_weight={np.str_("opaque"): weight}).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_images_of_a_class_of_weight_zero_are_left_out(cnn, squares):
    X, y = squares
    y = np.where(np.arange(48) < 8, "blurred", y)
    expected = clone(cnn).fit(X[8:], y[8:]).predict_proba(X)
    weighted = clone(cnn).set_params(class_weight={"blurred": 0}).fit(X, y)
    column = list(weighted.classes_).index("blurred")
    assert weighted.n_iter_ == 4
    found = weighted.predict_proba(X)
    assert found[:, column].mean() < 0.5
    assert (np.delete(found, column, axis=1).argmax(1) == expected.argmax(1)).mean() > 0.9
    by_hand = clone(cnn).fit(X, y, sample_weight=np.where(y == "blurred", 0.0, 1.0))
    np.testing.assert_array_equal(found, by_hand.predict_proba(X))


def test_a_fold_that_lacks_a_named_class_is_fitted_as_scikit_learn_fits_it(cnn, squares):
    X, y = squares
    y = y.copy()
    y[0] = "rare"
    cv = StratifiedKFold(3)
    named = {"clear": 1, "opaque": 1, "rare": 10}
    cnn.set_params(epochs=1, class_weight=named)
    theirs = LogisticRegression(class_weight=named, max_iter=10)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        warnings.filterwarnings("error", "class_weight")
        assert np.isfinite(cross_val_score(theirs, X.reshape(48, -1), y, cv=cv)).all()
        assert np.isfinite(cross_val_score(cnn, X, y, cv=cv, error_score="raise")).all()
    cnn.set_params(class_weight={"rare": 10})
    with pytest.warns(UserWarning, match=r"class_weight names \['rare'\], of which y holds no"):
        assert np.isfinite(cross_val_score(cnn, X, y, cv=cv, error_score="raise")).all()


def test_a_name_that_no_class_has_is_warned_of_where_the_user_called(cnn, squares):
    with pytest.warns(UserWarning, match=r"class_weight names \['rond'\].*misspelt") as caught:
        cnn.set_params(class_weight={"rond": 2}, epochs=1).fit(*squares)
    assert [w.filename for w in caught if "rond" in str(w.message)] == [__file__]


def test_a_name_that_is_no_class_is_an_error_where_all_classes_are_known(cnn, squares):
    X, y = squares
    cnn.set_params(class_weight={"rare": 10})
    with pytest.raises(ValueError, match=r"class_weight names \['rare'\], but the classes are"):
        cnn.partial_fit(X, y, classes=["clear", "opaque"])
    assert cnn.partial_fit(X, y, classes=["clear", "opaque", "rare"]).n_iter_ == 1
