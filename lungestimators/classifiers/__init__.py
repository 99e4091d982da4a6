"""The classifiers: scikit-learn estimators that train a Keras network on images."""
