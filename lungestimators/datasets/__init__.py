"""Data sets as scikit-learn has them: from folders and tables, fetched, or synthetic."""
