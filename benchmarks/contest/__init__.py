"""The parts of speed.py: the contenders, and what is made of their times."""
