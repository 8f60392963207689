"""From a recording, boxes and a network to body motion: one person's picture at a time, in batches."""

from __future__ import annotations

from poseworks.mesh_recovery.recovery.boxes import Boxes, boxes_of_poses, read_boxes
from poseworks.mesh_recovery.recovery.networks import RecoveryNetwork
from poseworks.mesh_recovery.recovery.recover import Recovered, recover

__all__ = ["Boxes", "Recovered", "RecoveryNetwork", "boxes_of_poses", "read_boxes", "recover"]
