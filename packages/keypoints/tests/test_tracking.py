"""Who is followed, lost, found again and dismissed: with people who walk by a script instead of networks that see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.errors import CheckpointError, ConfigError, DataError, ShapeError
from poseworks.core.video import open_video
from poseworks.keypoints import DetectSettings, Tracker
from poseworks.keypoints.detector import FAR, NEAR, Detection
from poseworks.keypoints.landmarks import Landmarks
from poseworks.keypoints.region import Image, Region
from poseworks.keypoints.trackers import make_tracker
from poseworks.keypoints.tracking import Person

FPS = 30
WIDTH, HEIGHT = 640, 360
Place = tuple[float, float] | None
SHAPE = np.random.default_rng(3).uniform(-0.7, 0.7, (33, 2)).astype(np.float32)


@dataclass
class Actor:
    """Somebody whose place at each moment is known.

    Attributes:
        place: the hip centre; None: cannot be seen.
        radius: of the circle around the body, pixels.
        found: the detector sees the person, whenever the landmark network would.
    """

    place: Callable[[float], Place]
    radius: float = 60
    visibility: float = 0.9
    found: Callable[[float], bool] = lambda _: True


@dataclass
class Stage:
    """Stands for both networks. A frame's first two bytes say which frame it is."""

    actors: list[Actor]
    fps: float = FPS
    searches: list[tuple[int, int]] = field(default_factory=list)  # frame, input size

    def frame(self, number: int) -> Image:
        rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        rgb[0, 0, :2] = divmod(number, 256)
        return rgb

    def detect(self, rgb: Image, size: int = NEAR) -> list[Detection]:
        self.searches.append((self._number(rgb), size))
        found = []
        for actor, (x, y) in self._there(rgb):
            if actor.found(self._number(rgb) / self.fps):
                rim = (x, y - actor.radius)
                keypoints = np.array([(x, y), rim, (x, y), rim], np.float32)
                found.append(Detection(0.9, np.array([x, y, 1, 1], np.float32), keypoints))
        return found

    def look(self, rgb: Image, region: Region) -> Landmarks:
        """Whoever is nearest to the middle of the region, if it holds that middle and is about as large."""
        there = [
            (math.hypot(x - region.x, y - region.y) + abs(2.5 * actor.radius - region.side), actor, (x, y))
            for actor, (x, y) in self._there(rgb)
        ]
        nearest = min(there, key=lambda entry: entry[0], default=None)
        if nearest is None or nearest[0] > region.side / 2:
            return landmarks(region.x, region.y, region.side / 2.5, presence=0.1)
        _, actor, (x, y) = nearest
        return landmarks(x, y, actor.radius, visibility=actor.visibility)

    def _number(self, rgb: Image) -> int:
        return int(rgb[0, 0, 0]) * 256 + int(rgb[0, 0, 1])

    def _there(self, rgb: Image) -> list[tuple[Actor, tuple[float, float]]]:
        places = [(actor, actor.place(self._number(rgb) / self.fps)) for actor in self.actors]
        return [(actor, place) for actor, place in places if place is not None]


def landmarks(x: float, y: float, radius: float, presence: float = 0.95, visibility: float = 0.9) -> Landmarks:
    centre = np.array((x, y), np.float32)
    return Landmarks(
        presence=presence,
        keypoints=centre + np.float32(radius) * SHAPE,
        visibility=np.full(33, visibility, np.float32),
        world=np.zeros((33, 3), np.float32),
        circle=np.stack([centre, centre - np.array((0, radius), np.float32)]),
    )


def play(stage: Stage, seconds: float, **options: Any) -> tuple[Tracker, list[list[Person]], list[Any]]:
    """The tracker at the end, and for each frame the people in it and those told of afterwards."""
    tracker = Tracker(**options)
    tracker.detector, tracker.landmarks = stage.detect, stage.look  # type: ignore[assignment]
    people, earlier = [], []
    for number in range(round(seconds * stage.fps)):
        people.append(tracker.push(stage.frame(number), number / stage.fps))
        earlier.append(tracker.earlier())
    return tracker, people, earlier


def ids(people: list[list[Person]]) -> list[list[int]]:
    return [[person.id for person in frame] for frame in people]


def hips(person: Person, radius: float = 60) -> NDArray[np.float32]:
    """The hip centre that the keypoints were laid around."""
    return np.asarray((person.keypoints - np.float32(radius) * SHAPE).mean(axis=0))


def stands(x: float, y: float = 180) -> Callable[[float], Place]:
    return lambda _: (x, y)


def stands_but(x: float, start: float, stop: float) -> Callable[[float], Place]:
    """Cannot be seen from one moment to another."""
    return lambda time: None if start <= time < stop else (x, 180)


class TestIds:
    def test_each_person_keeps_an_id_and_the_order_is_theirs(self) -> None:
        stage = Stage([Actor(lambda t: (100 + 60 * t, 180)), Actor(stands(520))])
        _, people, _ = play(stage, 3)
        assert ids(people) == [[0, 1]] * 90
        assert hips(people[-1][0])[0] == pytest.approx(100 + 60 * 89 / 30, abs=0.01)
        assert hips(people[-1][1])[0] == pytest.approx(520, abs=0.01)

    @pytest.mark.parametrize("alone", [True, False])
    def test_who_is_back_within_a_second_and_a_half_has_the_old_id(self, alone: bool) -> None:
        others = [] if alone else [Actor(stands(520))]
        _, people, _ = play(Stage([*others, Actor(stands_but(150, 1, 2.3))]), 3.5)
        last = len(others)
        assert ids(people)[-1] == list(range(last + 1))
        assert sum(last in frame for frame in ids(people)) >= 105 - 39 - 4

    @pytest.mark.parametrize("alone", [True, False])
    def test_who_is_away_for_two_seconds_is_somebody_new(self, alone: bool) -> None:
        others = [] if alone else [Actor(stands(520))]
        tracker, people, _ = play(Stage([*others, Actor(stands_but(150, 1, 3))]), 4.5)
        last = len(others)
        assert ids(people)[-1] == [*range(last), last + 1]
        assert tracker.dismissed == set()

    def test_who_appears_elsewhere_is_somebody_new(self) -> None:
        _, people, _ = play(Stage([Actor(stands_but(150, 1, 9)), Actor(stands_but(520, 0, 1.2))]), 2)
        assert {number for frame in ids(people)[:30] for number in frame} == {0}
        assert ids(people)[-1] == [1]

    def test_who_is_of_another_size_is_somebody_new(self) -> None:
        actors = [Actor(stands_but(150, 1, 9)), Actor(stands_but(150, 0, 1.2), radius=120)]
        assert ids(play(Stage(actors), 2)[1])[-1] == [1]

    def test_who_walks_while_unseen_is_found_where_the_walk_leads(self) -> None:
        """0.4 s at 500 px/s are 200 px, more than half a side of the region (150 px) from where they were last."""
        walk: Callable[[float], Place] = lambda t: None if 0.6 <= t < 1.0 else (40 + 500 * t, 180)  # noqa: E731
        _, people, _ = play(Stage([Actor(walk)]), 1.15)
        assert ids(people)[-1] == [0]

    def test_people_who_cross_keep_their_ids(self) -> None:
        """Whoever is behind cannot be seen, and their region holds the one in front: it jumped there, and is lost."""

        def behind(time: float) -> Place:
            x = 600 - 200 * time
            return None if abs(x - (40 + 200 * time)) < 50 else (x, 180)

        stage = Stage([Actor(lambda t: (40 + 200 * t, 180)), Actor(behind)])
        _, people, _ = play(stage, 2.8)
        assert {tuple(frame) for frame in ids(people)} == {(0, 1), (0,)}  # the one in front is never lost
        first, second = people[-1]
        assert hips(first)[0] == pytest.approx(40 + 200 * 83 / 30, abs=0.01)
        assert hips(second)[0] == pytest.approx(600 - 200 * 83 / 30, abs=0.01)
        missing = sum(len(frame) == 1 for frame in people)
        assert missing <= 8 + 4  # 50 px at 400 px/s on both sides are 7.5 frames; a search follows within 0.1 s


class TestGhosts:
    def test_a_small_body_on_a_large_one_is_none(self) -> None:
        knee = Actor(stands(320, 200), radius=50)
        assert ids(play(Stage([Actor(stands(320), radius=140), knee]), 2)[1])[-1] == [0]

    def test_who_is_found_once_and_never_again_is_dismissed(self) -> None:
        ghost = Actor(stands(150), radius=80, visibility=0.4, found=lambda time: time < 0.2)
        tracker, people, _ = play(Stage([ghost, Actor(stands(520))]), 2)
        assert ids(people)[0] == [0, 1]
        assert ids(people)[-1] == [1]
        assert tracker.dismissed == {0}

    def test_who_was_confirmed_stays_while_well_visible(self) -> None:
        hidden = Actor(stands(150), radius=80, found=lambda time: time < 0.7)
        tracker, people, _ = play(Stage([hidden, Actor(stands(520))]), 3)
        assert ids(people)[-1] == [0, 1]
        assert tracker.dismissed == set()

    def test_who_was_confirmed_is_never_dismissed(self) -> None:
        """Not even after having been lost and found again: a real person's whole track would go."""
        fades = Actor(stands_but(150, 1, 1.5), radius=80, visibility=0.4, found=lambda time: time < 2)
        tracker, people, _ = play(Stage([fades, Actor(stands(520))]), 4)
        assert [0, 1] in ids(people)[50:60]
        assert ids(people)[-1] == [1]
        assert tracker.dismissed == set()

    def test_who_was_lost_and_found_again_is_somebody(self) -> None:
        """To be found a second time confirms, be it by the search that ends an absence."""
        fades = Actor(stands_but(150, 0.2, 0.4), radius=80, visibility=0.4, found=lambda time: time < 0.6)
        tracker, people, _ = play(Stage([fades, Actor(stands(520))]), 3)
        assert ids(people)[14] == [0, 1]
        assert ids(people)[-1] == [1]
        assert tracker.dismissed == set()

    def test_a_confirmed_person_who_was_dropped_comes_back_with_the_old_id(self) -> None:
        fades = Actor(stands(150), radius=80, visibility=0.4, found=lambda time: not 0.9 <= time < 3)
        _, people, _ = play(Stage([fades, Actor(stands(520))]), 5)
        assert [1] in ids(people)
        assert ids(people)[-1] == [0, 1]


def frames_of(stage: Stage, size: int) -> list[int]:
    return [number for number, searched in stage.searches if searched == size]


def assert_growing_pauses(wide: list[int]) -> None:
    """From a third of a second to a second, while nothing changes."""
    pauses = np.diff(wide)
    assert (np.diff(pauses) >= 0).all()
    assert pauses[0] >= 10
    assert pauses[-1] == 30


class TestSearches:
    """Pauses are stated in seconds: at 30 frames a second a third is 10 frames."""

    def test_while_nobody_is_there_each_frame_is_searched_and_now_and_then_for_small_people(self) -> None:
        stage = Stage([])
        play(stage, 6)
        assert [number for number, _ in stage.searches] == list(range(180))
        wide = frames_of(stage, FAR)
        assert wide[0] == 10
        assert_growing_pauses(wide)

    def test_while_somebody_is_followed_only_these(self) -> None:
        stage = Stage([Actor(stands(320))])
        play(stage, 6)
        assert frames_of(stage, NEAR) == [0]
        wide = frames_of(stage, FAR)
        assert wide[0] == 10
        assert_growing_pauses(wide)

    def test_after_a_change_they_are_frequent_again(self) -> None:
        stage = Stage([Actor(stands(520)), Actor(stands_but(150, 0, 4))])
        _, people, _ = play(stage, 8)
        came = ids(people).index([0, 1])
        assert 120 <= came <= 150
        wide = frames_of(stage, FAR)
        assert wide[wide.index(came) + 1] == came + 10

    def test_somebody_who_is_missed_is_looked_for_more_often(self) -> None:
        stage = Stage([Actor(stands(520)), Actor(stands_but(150, 1.1, 99))])
        play(stage, 6)
        missed = [number for number, _ in stage.searches if 33 <= number < 78]
        assert missed[0] <= 39
        assert np.diff(missed).max() <= 6
        later = [number for number, _ in stage.searches if number > 82]
        assert np.diff(later).min() >= 10  # nobody is waited for any more

    def test_where_few_frames_are_pushed_several_lie_between_two_searches(self) -> None:
        stage = Stage([Actor(stands(320))], fps=6)
        play(stage, 8, frames_per_push=5)
        assert len(stage.searches) > 3
        assert np.diff([number for number, _ in stage.searches]).min() >= 4

    def test_beside_somebody_very_large_small_people_are_not_looked_for(self) -> None:
        stage = Stage([Actor(stands(320), radius=220)])  # a region of 550 pixels, of 640
        play(stage, 2)
        assert len(stage.searches) > 2
        assert frames_of(stage, FAR) == []

    def test_a_first_search_for_small_people_is_made_on_request(self) -> None:
        stage = Stage([])
        play(stage, 0.3, search_first=True)
        assert stage.searches == [(n, FAR if n == 0 else NEAR) for n in range(9)]

    def test_no_more_people_than_asked_for_and_then_no_search(self) -> None:
        stage = Stage([Actor(stands(150)), Actor(stands(520))])
        _, people, _ = play(stage, 1.5, people=1)
        assert ids(people) == [[0]] * 45
        assert stage.searches == [(0, NEAR)]
        assert len(play(Stage([Actor(stands(x)) for x in (100, 250, 400, 550)]), 1, people=3)[1][-1]) == 3


class TestLookingBack:
    APPEARS = 14  # between the searches in frames 10 and 20

    def actors(self) -> list[Actor]:
        return [Actor(stands(520)), Actor(lambda t: None if t < self.APPEARS / FPS else (150 + 90 * t, 180))]

    def test_whom_a_search_finds_is_followed_back_to_the_first_appearance(self) -> None:
        _, people, earlier = play(Stage(self.actors()), 2, look_back=True)
        found = ids(people).index([0, 1])
        assert found - self.APPEARS > 2
        assert [number for number, each in enumerate(earlier) if each] == [found]
        before = np.arange(self.APPEARS, found)
        times, seen = zip(*earlier[found], strict=True)
        np.testing.assert_allclose(times, before / FPS)
        assert {person.id for person in seen} == {1}
        np.testing.assert_allclose([hips(person)[0] for person in seen], 150 + 90 * before / FPS, atol=0.01)

    def test_memory_is_bounded(self) -> None:
        """Whoever came long before a search is followed back through so many frames as are kept."""
        _, people, earlier = play(Stage(self.actors(), fps=240), 1, look_back=True)
        found = ids(people).index([0, 1])
        assert len(earlier[found]) == min(found - round(self.APPEARS / FPS * 240), 32)

    def test_not_without_being_asked(self) -> None:
        assert all(each == [] for each in play(Stage(self.actors()), 1)[2])

    def test_who_was_lost_is_not_followed_back_beyond_that(self) -> None:
        """Lost in frame 33 for two frames: found again in the search that follows, and in the frames before it."""
        stage = Stage([Actor(stands(520)), Actor(stands_but(150, 33 / FPS - 1e-6, 35 / FPS - 1e-6))])
        _, people, earlier = play(stage, 2, look_back=True)
        seen = [number for number, frame in enumerate(ids(people)) if 1 in frame]
        told = [round(time * FPS) for each in earlier for time, _ in each]
        assert sorted(seen + told) == [number for number in range(60) if number not in (33, 34)]
        assert {person.id for each in earlier for _, person in each} <= {1}

    def test_nobody_is_told_of_twice(self) -> None:
        actors = [Actor(stands(520)), Actor(stands_but(100, 0, 0.4)), Actor(stands_but(300, 0, 0.4))]
        _, people, earlier = play(Stage(actors), 2, look_back=True)
        found = ids(people).index([0, 1, 2])
        told = [(round(time * FPS), person.id) for each in earlier for time, person in each]
        assert sorted(told) == [(number, person) for number in range(12, found) for person in (1, 2)]


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    """At 1 s, after one frame."""
    tracker = Tracker()
    stage = Stage([])
    tracker.detector, tracker.landmarks = stage.detect, stage.look  # type: ignore[assignment]
    tracker.push(stage.frame(0), 1.0)
    return tracker


class TestInput:
    @pytest.mark.parametrize(
        ("rgb", "got"),
        [
            (np.zeros((4, 4, 3)), r"float64 \(4, 4, 3\)"),
            (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
            (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
            (np.zeros((1, 4, 4, 3), np.uint8), r"uint8 \(1, 4, 4, 3\)"),
            ([[[0, 0, 0]]], "list"),
            (None, "NoneType"),
        ],
    )
    def test_what_is_no_image_is_refused(self, tracker: Tracker, rgb: Any, got: str) -> None:
        message = rf"^rgb: expected a uint8 array \(H, W, 3\), got {got}\. Convert the frame to 8-bit RGB first\.$"
        with pytest.raises(ShapeError, match=message):
            tracker.push(rgb, 2.0)

    def test_an_image_without_pixels_is_refused(self, tracker: Tracker) -> None:
        with pytest.raises(ShapeError, match=r"^rgb: expected at least one pixel, got \(0, 4, 3\)\.$"):
            tracker.push(np.zeros((0, 4, 3), np.uint8), 2.0)

    def test_the_size_stays(self, tracker: Tracker) -> None:
        message = r"^rgb: expected \(360, 640, 3\) as before, got \(4, 4, 3\)\. Use a Tracker for each size\.$"
        with pytest.raises(ShapeError, match=message):
            tracker.push(np.zeros((4, 4, 3), np.uint8), 2.0)

    @pytest.mark.parametrize("time", [1.0, 0.5, math.nan, math.inf, -math.inf])
    def test_time_rises(self, tracker: Tracker, time: float) -> None:
        with pytest.raises(DataError, match=r"^time: expected seconds that rise from push to push, got .* after 1\.0"):
            tracker.push(np.zeros((HEIGHT, WIDTH, 3), np.uint8), time)

    def test_a_frame_that_was_refused_leaves_no_trace(self, tracker: Tracker) -> None:
        assert tracker.push(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 1.01) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"people": 0}, "people: expected 1 or more, or all, got 0."),
            ({"frames_per_push": 0}, "frames_per_push: expected 1 or more, got 0."),
            ({"model": "none"}, "model: expected full, heavy, lite or the path of an .onnx file, got 'none'."),
        ],
    )
    def test_arguments_are_checked(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Tracker(**options)
        assert str(caught.value) == message

    def test_threads_are_checked(self) -> None:
        with pytest.raises(ConfigError, match="threads: expected 1 "):
            Tracker(threads=0)

    def test_a_model_that_is_no_network_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.onnx"
        path.write_text("no network")
        tracker = Tracker(str(path))
        with pytest.raises(CheckpointError, match=r"mine\.onnx: onnxruntime cannot open it .* convert\.$"):
            tracker.landmarks(np.zeros((4, 4, 3), np.uint8), Region(2, 2, 4))


def test_a_crop_of_a_larger_image_is_followed_like_a_copy_of_it() -> None:
    """Frames need not lie in one piece of memory, and are not written to."""
    path = Path(__file__).parent / "data" / "jumping_jacks.mp4"
    with open_video(path) as video:
        frames = video.frames()
        larger = [np.pad(next(frames).rgb, ((8, 0), (0, 24), (0, 0))) for _ in range(3)]
    views, copies = Tracker(), Tracker()
    for number, rgb in enumerate(larger):
        rgb.flags.writeable = False
        view = rgb[8:, :-24]
        seen, expected = views.push(view, number / 30), copies.push(view.copy(), number / 30)
        assert [person.id for person in seen] == [0]
        np.testing.assert_array_equal(seen[0].keypoints, expected[0].keypoints)
        assert seen[0].keypoints.shape == (33, 2)
        assert seen[0].confidence.shape == (33,)
        assert seen[0].world is not None
        assert seen[0].world.shape == (33, 3)
        assert seen[0].presence > 0.9


def test_what_it_is_goes_into_the_history() -> None:
    tracker = make_tracker(DetectSettings(every=3))
    assert isinstance(tracker, Tracker)
    assert tracker.frames_per_push == 3
    assert tracker.skeleton.name == "blazepose33"
    networks = tracker.sources["networks"]
    assert set(networks) == {"pose_detection.onnx", "pose_landmark_full.onnx"}
    assert all(len(value) == 64 for value in networks.values())
