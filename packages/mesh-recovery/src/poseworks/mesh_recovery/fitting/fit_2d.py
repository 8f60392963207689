"""SMPLify on a clip from one camera: all frames at once, from the likeliest way through many typical poses.

    E = sum_n c_n^2 s^2 / (2 a^2) e_n^2 / (e_n^2 + s^2)   keypoints; e: metres at the person's distance, s: 20 % of the
                                                          torso, a: how much the keypoints tremble
      + 1/2 prior(body pose) + elbows and knees bent the wrong way
      + 1/2 sum_n |x_n - y_n|^2 / (r^2 + spread_n^2)      y: the mean of all ways through the typical poses
      + 1/2 sum_n |x_n''|^2 / k^2                         joints that speed up, in space

(Bogo et al. 2016, sec. 3, for many frames.) Axes of the camera: x right, y down, z away; slopes are x / z and y / z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from poseworks.core.body_models import PosePrior
from poseworks.core.gaps import runs
from poseworks.mesh_recovery.fitting.camera_terms import SeenPoints
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import FrameFit, PointTerm, Poses, chunks
from poseworks.mesh_recovery.fitting.matching import Candidates
from poseworks.mesh_recovery.fitting.smooth_steps import Smoothness, solve_smoothly
from poseworks.mesh_recovery.fitting.starts import Start, Track, find_start
from poseworks.mesh_recovery.fitting.terms import Likely, NearPoints, TowardsRest
from poseworks.mesh_recovery.fitting.thought_points import ThoughtPoints, Together

SIGMA_SHARE = 0.2  # of the torso: a distance beyond which a keypoint is taken for an outlier
TREMBLING = 0.6  # share of the keypoints' trembling that an error may have
LEAST_ERROR_M, MOST_ERROR_M = 0.003, 0.03
PRIOR = 0.5
WRONG_WAY = 200.0  # a squared radian of a hinge
ACCELERATION = 12.0  # k, metres per second squared
FRAME_STEPS, SMOOTH_STEPS, GROUND_STEPS = 12, 8, 4
ENOUGH = 1e-4  # share of the cost by which the last step lowers it
STILL_TORSOS = 1.0  # a second: a foot that moves slower in the picture rests on the ground
STILL_S = 0.1  # for so long at least
GROUND_M = 0.003  # by which a foot on the ground may move
Advance = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Fitter2D:
    """Fits one person of a given shape.

    Attributes:
        points: the n that are observed.
        shape: (K,) betas.
        upright: poses to start from, y up.
        prior: of poses.
        torso_m: length of the torso.
    """

    points: FoldedPoints
    shape: Tensor
    upright: Candidates
    prior: PosePrior
    torso_m: float

    def fit(self, track: Track, advance: Advance) -> Poses:
        """The person in all frames, in the camera's axes; `advance` is called with shares of the work."""
        start = find_start(track, self.points, self.shape, self.upright)
        advance(0.3)
        poses = start.poses
        seen, thought = self._seen(track, start), ThoughtPoints(start.thought, start.certain)
        fit = self._terms(seen, thought)
        fit.solve(poses, FRAME_STEPS)
        advance(0.2)
        smoothness = Smoothness(points=track.fps**4 / ACCELERATION**2, angles=0.0)
        solve_smoothly(fit, poses, smoothness, SMOOTH_STEPS, ENOUGH)
        if track.feet:
            placed = torch.cat([fit.placed(poses[frames]).points for frames in chunks(len(poses))])
            held = _held(placed, track, start.depth / self.torso_m)
            ground = NearPoints(held, torch.ones_like(track.confidence), GROUND_M, bend=100.0)
            solve_smoothly(self._terms(seen, thought, ground), poses, smoothness, GROUND_STEPS, ENOUGH)
        advance(0.5)
        return poses

    def _seen(self, track: Track, start: Start) -> SeenPoints:
        distance = start.depth
        error = TREMBLING * track.trembling() * float(distance.median())
        return SeenPoints(
            track.slopes[None],
            track.confidence.square()[None],
            distance[None],
            torch.eye(3)[None],
            torch.zeros(1, 3),
            scale=min(max(error, LEAST_ERROR_M), MOST_ERROR_M),
            reach=SIGMA_SHARE * self.torso_m,
        )

    def _terms(self, *terms: PointTerm) -> FrameFit:
        pose_terms = (Likely(self.prior, PRIOR), TowardsRest(torch.zeros(69), WRONG_WAY))
        return FrameFit(self.points, Together(*terms), pose_terms, torch.ones(len(self.shape)))


def _held(placed: Tensor, track: Track, size: Tensor) -> Tensor:
    """(T, n, 3) where feet on the ground are in the mean while they rest there; NaN elsewhere.

    Args:
        placed: (T, n, 3) points in the camera's axes.
        track: what is seen.
        size: (T,) torsos that a slope of 1 spans.
    """
    held = torch.full_like(placed, torch.nan)
    slopes = placed[..., :2] / placed[..., 2:]
    speed = (slopes[1:] - slopes[:-1]).norm(dim=-1) * track.fps * size[1:, None]
    slow = (speed < STILL_TORSOS).numpy()
    for foot in track.feet:
        for start, stop in runs(slow[:, foot]):
            if stop - start >= STILL_S * track.fps:
                held[start : stop + 1, foot] = placed[start : stop + 1, foot].mean(0)
    return held
