"""Parts of pretrain.py: images, tasks, the teacher, and training in PyTorch."""
