"""What of a recording goes into a report: the file itself, or a smaller copy where a browser could not show that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from poseworks.core.progress import progress
from poseworks.core.report import embed
from poseworks.core.video import open_video, plays_in_browser, write_preview

_SIDES = ((180.0, 1280), (900.0, 640))
"""Up to so many seconds, and the longer side of the copy, in pixels, that about keeps to what a page embeds."""


@dataclass(frozen=True)
class Recording:
    """A recording that poses belong to; `fps` is that of pictures."""

    path: Path
    fps: float | None = None


@contextmanager
def shown_video(recording: Recording | None, *, quiet: bool = True) -> Iterator[tuple[Path | None, tuple[str, ...]]]:
    """The file for the report, and what to say about it; a copy lasts as long as the block.

    A file that browsers play and a page can embed stays as it is. Of others a copy is made (H.264, at most 1280
    pixels); where that would be too long to embed, a file that browsers play is linked, and others are left out.

    Raises:
        DataError: the recording cannot be read.
    """
    if recording is None:
        yield None, ()
        return
    path, fps = recording.path, recording.fps
    with open_video(path, fps=fps) as video:
        info = video.info
    plays = plays_in_browser(info)
    size = path.stat().st_size if path.is_file() else 0
    if plays and size <= embed.MAX_VIDEO_BYTES:
        yield path, ()
        return
    why = f"is too large to embed ({size / 1e6:.0f} MB)" if plays else "is no video that browsers play"
    without = (path, ()) if plays else (None, (f"{path.name} {why}, and too long for a copy: it is not shown",))
    seconds = (info.stated_frames or 0) / info.fps
    side = next((side for longest, side in _SIDES if seconds <= longest), None)
    if side is None:
        yield without
        return
    with tempfile.TemporaryDirectory(prefix="poseworks-") as folder:
        copy = Path(folder) / f"{path.stem or 'recording'}.preview.mp4"
        with progress(info.stated_frames, "preview", quiet=quiet) as advance:
            write_preview(path, copy, max_side=side, fps=fps, advance=advance)
        if copy.stat().st_size > embed.MAX_VIDEO_BYTES:
            yield without
        else:
            yield copy, (f"{path.name} {why}: the report shows a copy of at most {side} pixels a side",)
