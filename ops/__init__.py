"""Running Holdfast: the command line, the processes, the composition root, the examinations."""
