"""A pipeline that is being fitted, as a scorer sees it between two epochs."""

from sklearn.pipeline import Pipeline


class PipelineView:
    """A pipeline that is being fitted, as it would be if its learner stopped here.

    The steps before the learner transform the same rows once only.

    Parameters
    ----------
    estimator : estimator
        The learner, or a pipeline; its last step may be a pipeline in turn.
    """

    def __init__(self, estimator):
        self._steps = [("learner", estimator)]
        innermost = self._steps
        while isinstance(innermost[-1][1], Pipeline):
            name, pipeline = innermost[-1]
            view = _shallow_copy(pipeline)
            view.steps = [(key, _once(step)) for key, step in pipeline.steps[:-1]]
            view.steps.append(pipeline.steps[-1])
            innermost[-1] = name, view
            innermost = view.steps
        self._innermost = innermost

    def with_learner(self, fitted):
        """Return the pipeline with a fitted learner; without a pipeline, the learner."""
        name, _ = self._innermost[-1]
        self._innermost[-1] = name, fitted
        return self._steps[-1][1]


def _once(step):
    """Return a fitted step that transforms the same rows once only."""
    if not hasattr(step, "transform"):  # "passthrough", or a sampler of imbalanced-learn
        return step
    last = []

    def transform(X, **params):
        if params:
            return step.transform(X, **params)
        if not last or last[0] is not X:
            last[:] = X, step.transform(X)
        return last[1]

    view = _shallow_copy(step)
    view.transform = transform
    return view


def _shallow_copy(value):
    """Return an object with the same attributes; what it says about pickling is not asked."""
    copied = object.__new__(type(value))
    vars(copied).update(vars(value))
    return copied
