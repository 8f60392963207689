"""Training: data sets of pictures, augmentations, tasks and recipes."""
