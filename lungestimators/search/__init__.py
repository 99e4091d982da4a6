"""OptunaSearch: an Optuna study as an estimator, and the spaces that it searches."""
