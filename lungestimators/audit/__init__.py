"""Is a data set fit to learn from? Duplicates, leaks, doubtful labels, shortcuts."""
