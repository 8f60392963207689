"""The recordings of an annotation file as poses files and a table of labels, which `build` makes a data set of again.

    python tracks_from_annotations.py prmd_actions_coco17.pkl tracks/ labels.csv
    poseworks-skeleton-action build tracks/ labels.csv -o mine.pkl

Change the table in between: other classes, other splits, recordings of your own beside the published ones.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from poseworks.core import COCO_17, PoseSequence, write_poses
from poseworks.skeleton_action.annotation_files import read_data_set

FPS = 30.0  # annotation files do not say it, and recognition of a whole recording does not depend on it


def main(annotations: str, folder: str, table: str) -> None:
    """Writes a poses file for each recording, and the table."""
    data = read_data_set(annotations)
    split_of = {identifier: split for split, members in data.splits.items() for identifier in members}
    Path(folder).mkdir(parents=True)
    with Path(table).open("x", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "label", "split"])
        for number, annotation in enumerate(data.annotations):
            height, width = annotation.image_shape
            scores = annotation.scores if annotation.scores is not None else np.ones(annotation.keypoints.shape[:3])
            missing = (scores == 0) | ~np.isfinite(annotation.keypoints).all(axis=-1)
            poses = PoseSequence(
                positions=np.where(missing[..., None], np.nan, annotation.keypoints),
                confidence=np.where(missing, 0, np.clip(scores, 0, 1)),
                joint_names=COCO_17.joint_names,
                skeleton=COCO_17.name,
                fps=FPS,
                unit="px",
                frame="image",
                image_size=(width, height),
            )
            write_poses(poses, Path(folder) / f"{number:06d}.npz")
            label = annotation.label if annotation.label is not None else ""
            name = data.label_names[label] if data.label_names and label != "" else label
            rows.writerow([f"{number:06d}", name, split_of.get(annotation.identifier, "train")])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: tracks_from_annotations.py ANNOTATIONS.pkl FOLDER LABELS.csv")
    main(*sys.argv[1:])
