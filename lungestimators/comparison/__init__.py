"""Is one model better than another? Scores, intervals and tests on the same folds."""
