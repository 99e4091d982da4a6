"""Our own contenders where there are many trials or two processes; contenders.py calls them.

Whoever runs a search, a study has the same space of heads, folds and number of trials, and the
store is empty at first.
"""

from sklearn.model_selection import cross_val_score

from lungestimators import CNNClassifier, OptunaSearch, clear_feature_cache

from .shared import Clock, head_of, load_keras, shrunk

FOLDS = 3


def search_ours(X, y, settings):
    """An objective that one writes by hand."""
    import optuna

    def objective(trial):
        clf = head_of(
            settings,
            dense_units=trial.suggest_categorical("dense_units", [128, 256, 512]),
            dropout=trial.suggest_float("dropout", 0.1, 0.7),
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        )
        return cross_val_score(clf, X, y, cv=FOLDS).mean()

    def search():
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=0), direction="maximize"
        )
        study.optimize(objective, n_trials=settings["trials"])
        return study

    return searched(search)


def search_searchcv(X, y, settings):
    """Optuna's own meta-estimator."""
    return searched(lambda: optuna_search_cv(settings).fit(X, y).study_)


def search_pruning(X, y, settings):
    """The same, which runs all folds epoch by epoch and prunes."""
    search = optuna_search_cv(settings, enable_pruning=True, max_iter=settings["epochs"])
    return searched(lambda: search.fit(X, y).study_)


def search_optunasearch(X, y, settings):
    """Ours, which scores every epoch and prunes."""
    search = OptunaSearch(
        head_of(settings),
        space(),
        cv=FOLDS,
        n_trials=settings["trials"],
        refit=False,
        random_state=0,
    )
    return searched(lambda: search.fit(X, y).study_)


def optuna_search_cv(settings, **options):
    """Optuna's meta-estimator around our classifier."""
    from optuna_integration import OptunaSearchCV

    return OptunaSearchCV(
        head_of(settings),
        space(),
        cv=FOLDS,
        n_trials=settings["trials"],
        random_state=0,
        refit=False,
        **options,
    )


def space():
    """The space of the objective by hand."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        "dense_units": CategoricalDistribution([128, 256, 512]),
        "dropout": FloatDistribution(0.1, 0.7),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    }


def searched(search):
    """Run a search that returns its study."""
    import optuna

    load_keras()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    clear_feature_cache()
    with Clock() as clock:
        study = search()
    pruned = study.get_trials(states=[optuna.trial.TrialState.PRUNED])
    return {"seconds": clock.seconds, "trials": len(study.trials), "pruned": len(pruned)}


def workers_one(X, y, settings):
    """Cross-validation of the custom CNN in this process."""
    return worked(X, y, settings, n_jobs=1)


def workers_two(X, y, settings):
    """The same in two processes of joblib's."""
    return worked(X, y, settings, n_jobs=2)


def worked(X, y, settings, n_jobs):
    """The call with all that it takes, imports and tracing too; then once more."""
    X = shrunk(X, 64)
    clf = CNNClassifier(epochs=settings["epochs"], random_state=0)
    with Clock() as first:
        cross_val_score(clf, X, y, cv=settings["folds"], n_jobs=n_jobs)
    with Clock() as again:
        cross_val_score(clf, X, y, cv=settings["folds"], n_jobs=n_jobs)
    return {"seconds": first.seconds, "again": again.seconds}
