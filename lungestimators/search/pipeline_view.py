"""Pipelines that are being fitted: their last step, and a view that can be scored."""

from sklearn.pipeline import Pipeline


def last_step_of_pipeline(estimator):
    """Return the last step of a pipeline, also of nested ones; any other estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


class PipelineView:
    """A pipeline as it would be if its last step stopped learning at this epoch.

    The steps before the last one keep the rows that they transformed last, so that the rows to
    score are transformed once a fold and not once an epoch.

    Parameters
    ----------
    estimator : estimator
        A classifier, or a pipeline; its last step may be a pipeline in turn.
    """

    def __init__(self, estimator):
        self._steps = [("estimator", estimator)]
        innermost = self._steps
        while isinstance(innermost[-1][1], Pipeline):
            name, pipeline = innermost[-1]
            view = _pipeline_view_with_attributes_of(pipeline)
            view.steps = [
                (key, _transform_once_in_pipeline_view(step)) for key, step in pipeline.steps[:-1]
            ]
            view.steps.append(pipeline.steps[-1])
            innermost[-1] = name, view
            innermost = view.steps
        self._innermost = innermost

    def with_last_step(self, fitted):
        """Return the pipeline with a fitted last step; without a pipeline, that step itself."""
        name, _ = self._innermost[-1]
        self._innermost[-1] = name, fitted
        return self._steps[-1][1]


def _transform_once_in_pipeline_view(step):
    """Return a copy of a fitted step that keeps its last result for the same object X."""
    if not hasattr(step, "transform"):  # "passthrough", or a sampler of imbalanced-learn
        return step
    last = []

    def transform(X, **params):
        if params:
            return step.transform(X, **params)
        if not last or last[0] is not X:
            last[:] = X, step.transform(X)
        return last[1]

    view = _pipeline_view_with_attributes_of(step)
    view.transform = transform
    return view


def _pipeline_view_with_attributes_of(value):
    """Return an object with the same attributes; `__getstate__` and `__copy__` are not called."""
    copied = object.__new__(type(value))
    vars(copied).update(vars(value))
    return copied
