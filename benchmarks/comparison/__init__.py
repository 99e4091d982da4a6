"""The parts of compare.py; speed.py reads its images with `problems` too."""
