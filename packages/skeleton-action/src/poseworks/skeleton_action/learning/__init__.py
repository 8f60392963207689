"""Recipes, training and evaluation: as published, and of our own weights."""
