"""Recordings: frames of video files, folders of images and single pictures; previews that a browser plays.

Needs PyAV (`pip install "poseworks-core[video]"`), which is imported when a recording is opened or written.
"""

from __future__ import annotations

from poseworks.core.video.ahead import ahead
from poseworks.core.video.pictures import read_picture, write_picture
from poseworks.core.video.reading import Frame, Video, VideoInfo, open_video
from poseworks.core.video.times import even_rate
from poseworks.core.video.writing import plays_in_browser, write_preview, write_video

__all__ = [
    "Frame",
    "Video",
    "VideoInfo",
    "ahead",
    "even_rate",
    "open_video",
    "plays_in_browser",
    "read_picture",
    "write_picture",
    "write_preview",
    "write_video",
]
