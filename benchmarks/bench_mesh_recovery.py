"""Mesh recovery: fits, networks and what comes before them, training on rendered pictures."""

from __future__ import annotations

from benchmarks import mesh_fitting, mesh_fitting_keypoints, mesh_networks, mesh_training

MEASURES = (*mesh_fitting.MEASURES, *mesh_fitting_keypoints.MEASURES, *mesh_networks.MEASURES, *mesh_training.MEASURES)
