"""A recursive filter run forwards and backwards over a clip, and the same fed piece by piece.

    forwards    u = H x      over the clip, extended at both ends by odd reflection: 2 x_0 - x_i, 2 x_T-1 - x_T-1-i
    backwards   y = H u      from the end of the extension to the frame wanted

`ZeroPhase` gives frame t as it comes out of the clip that ends at t + k, with memory for k + padding frames. The
forward pass goes on from its state z. The rest is linear in what is known at the end e = t + k of that clip, so it is a
fixed set of weights, worked out once:

    y_t = sum_i h_i u_{t+i}  +  sum_j a_j z_e[j]  +  sum_j b_j x_{e-j}        i <= k, j <= padding
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter, sosfilt, sosfilt_zi, sosfiltfilt

Floats = npt.NDArray[np.float64]


def forwards_and_backwards(sections: Floats, x: Floats, padding: int) -> Floats:
    """x (T, ...), T >= 1, filtered along time; extended by `padding` frames, or by T - 1 if there are fewer."""
    return sosfiltfilt(sections, x, axis=0, padlen=min(padding, len(x) - 1))


class ZeroPhase:
    """Frames (n, C) in, y_t = (forwards and backwards over x[:t + k + 1])[t] out; `flush` ends the clip."""

    def __init__(self, sections: Floats, padding: int, look_ahead: int) -> None:
        self.sections, self.padding, self.look_ahead = sections, padding, look_ahead
        self._frames: Floats | None = None  # the last ones; all, as long as there are at most `padding`
        self._passed: Floats | None = None  # u, from the next frame to come out
        self._state: Floats | None = None  # z (S, 2, C)
        self._seen = self._given = 0
        self._weights: tuple[Floats, Floats, Floats] | None = None

    def push(self, x: Floats) -> Floats:
        """The frames that are final now."""
        before = x[:0] if self._frames is None else self._frames
        frames = np.concatenate([before, x])
        self._seen += len(x)
        final = max(self._seen - self.look_ahead, self._given)
        out = [frames[:0]]
        # A clip that is shorter than the extension is short enough to be filtered anew for each frame.
        while self._given < final and self._given + self.look_ahead < self.padding:
            prefix = frames[: self._given + self.look_ahead + 1]
            out.append(forwards_and_backwards(self.sections, prefix, self.padding)[self._given, None])
            self._given += 1
        if self._seen > self.padding:
            states = self._forwards(frames, x)
            if final > self._given:
                out.append(self._known_future(frames, states, final - self._given))
                self._given = final
            frames = frames[len(frames) - self.padding - 1 :]
            passed = cast(Floats, self._passed)
            self._passed = passed[len(passed) - (self._seen - self._given) :]
        self._frames = frames.copy()
        return np.concatenate(out)

    def flush(self) -> Floats:
        """The frames still held back: the clip ends here."""
        frames = cast(Floats, self._frames)
        if self._state is None or self._passed is None:
            whole = forwards_and_backwards(self.sections, frames, self.padding) if len(frames) else frames
            return whole[self._given :]
        behind = sosfilt(self.sections, _reflected(frames), axis=0, zi=self._state)[0]
        return self._backwards(behind, self._passed)

    def _forwards(self, frames: Floats, new: Floats) -> Floats:
        """Lengthen u by the new frames; the states z (n, S, 2, C) behind each of them."""
        if self._state is None or self._passed is None:
            before = 2 * frames[0] - frames[self.padding : 0 : -1]
            new = np.concatenate([before, frames])
            start = np.concatenate([before, frames])[0]
            self._state = sosfilt_zi(self.sections)[:, :, None] * start
            self._passed, skip = frames[:0], len(before)
        else:
            skip = 0
        states = np.empty((len(new), *self._state.shape))
        x = new
        for index, section in enumerate(self.sections):
            b, a = section[:3], section[3:]
            y = lfilter(b, a, x, axis=0, zi=self._state[index])[0]
            z = states[:, index]
            z[:, 1] = b[2] * x - a[2] * y
            z[:, 0] = b[1] * x - a[1] * y
            z[1:, 0] += z[:-1, 1]
            z[:1, 0] += self._state[index, 1]
            x = y
        if len(states):
            self._state = states[-1].copy()
        passed = np.concatenate([self._passed, x[skip:]])
        self._passed = passed[len(passed) - (self._seen - self._given) :]
        return states[skip:]

    def _known_future(self, frames: Floats, states: Floats, count: int) -> Floats:
        """The next `count` frames, each with `look_ahead` frames behind it; the newest ends at the newest frame."""
        if self._weights is None:
            self._weights = self._work_out_weights()
        h, of_states, of_frames = self._weights
        passed = cast(Floats, self._passed)[: count + self.look_ahead]
        recent = frames[len(frames) - self.padding - count :]
        ends = states[len(states) - count :].reshape(count, -1, frames.shape[1])
        from_states: Floats = np.einsum("nsc,s->nc", ends, of_states)
        return correlate(passed, h) + from_states + correlate(recent, of_frames)

    def _work_out_weights(self) -> tuple[Floats, Floats, Floats]:
        """h (k + 1), weights of z (2 S) and of x_{e-padding} ... x_e: the answers to unit inputs."""
        count, held = 2 * len(self.sections), self.padding + 1
        impulse = np.zeros(self.look_ahead + 1)
        impulse[0] = 1
        h = sosfilt(self.sections, impulse)
        units = np.eye(count + held)
        state = units[:count].reshape(len(self.sections), 2, -1)
        behind = sosfilt(self.sections, _reflected(units[count:]), axis=0, zi=state)[0]
        rest = self._backwards(behind, np.zeros((self.look_ahead + 1, count + held)))[0]
        return h, rest[:count], rest[count:]

    def _backwards(self, behind: Floats, passed: Floats) -> Floats:
        """y where u is `passed`, from the extension `behind` it."""
        whole = np.concatenate([passed, behind])[::-1]
        state = sosfilt_zi(self.sections)[:, :, None] * whole[0]
        return cast(Floats, sosfilt(self.sections, whole, axis=0, zi=state)[0][::-1][: len(passed)])


def _reflected(frames: Floats) -> Floats:
    """The odd reflection of frames about the last one: one fewer than there are."""
    reflected: Floats = 2 * frames[-1] - frames[-2::-1]
    return reflected


def correlate(x: Floats, weights: Floats) -> Floats:
    """sum_i weights_i x_{t+i}, (n - len(weights) + 1, C): by frames or by weights, whichever are fewer."""
    count = len(x) - len(weights) + 1
    if count < len(weights):
        return np.stack([weights @ x[t : t + len(weights)] for t in range(count)])
    out = np.zeros((count, x.shape[1]))
    for index, weight in enumerate(weights):
        out += weight * x[index : index + count]
    return out
