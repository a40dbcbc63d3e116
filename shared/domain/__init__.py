"""The pure ground: values, events, folds and words. Imports the standard library and itself, nothing else."""
