"""Parts of lungs.py: what LungFields finds, what it refuses, and what it does to shortcuts."""
