"""What the audit says of the data, before a model is believed."""

import numpy as np

from lungestimators import CNNClassifier, audit_images

from .problems import InputError


def audit(problem, arguments):
    """Audit a problem; return plain data for the report.

    Returns
    -------
    dict
        ``conclusion``, ``checks`` (name, verdict and sentence of each), ``shortcuts`` (the scores
        behind that check) and ``leaked`` (rows of the problem that are tested on and repeat one
        that is learnt from; None without a given split).
    """
    names = np.array(problem.names)[problem.y]
    train, test = (np.arange(len(names)), None) if problem.split is None else problem.split
    given = {} if test is None else dict(X_test=problem.X[test], y_test=names[test])
    if arguments.quick:
        given["estimator"] = CNNClassifier(image_size=32, epochs=1, random_state=arguments.seed)
    report = audit_images(
        problem.X[train],
        names[train],
        None if problem.groups is None else problem.groups[train],
        **given,
        cv=arguments.folds,
        random_state=arguments.seed,
        verbose=1,
    )
    readability = report.checks["readability"]
    if readability.verdict != "ok":
        raise InputError(f"{readability.sentence} {readability.rows}")
    return dict(
        conclusion=report.conclusion,
        checks=[(c.name, c.verdict, c.sentence) for c in report.checks.values()],
        shortcuts=report.checks["shortcuts"].rows,
        leaked=None if test is None else test[report.leaked_].tolist(),
    )
