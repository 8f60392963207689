// Views: from positions to places on a canvas, in 2D (as the camera saw it) and in 3D (turned by hand).

const OVER_VIDEO = { orange: "#ffa03c", blue: "#4cc3ff", green: "#3fe0a0", pink: "#ff93d2" };

/** The colour of a track: bright over a video, from the style sheet on a plain ground. */
function colourOf(track, overVideo) {
  if (overVideo) return OVER_VIDEO[track.colour];
  return getComputedStyle(document.documentElement).getPropertyValue(`--${track.colour}`).trim();
}

/** 2D: image coordinates (x right, y down) fitted into the canvas; can follow a person. */
class ImageView {
  constructor(tracks, video) {
    this.tracks = tracks;
    const sized = tracks.find((track) => track.imageSize);
    if (sized) [this.left, this.top, this.width, this.height] = [0, 0, ...sized.imageSize];
    else if (video) [this.left, this.top, this.width, this.height] = [0, 0, video.videoWidth, video.videoHeight];
    else this.fitPoses();
    this.aspect = Math.min(Math.max(this.width / this.height, 0.4), 4);
    this.zoom = null;
  }

  fitPoses() {
    const all = this.tracks.map((track) => track.bounds()).filter((bounds) => !bounds.empty);
    const low = [0, 1].map((d) => Math.min(...all.map((b) => b.low[d])));
    const high = [0, 1].map((d) => Math.max(...all.map((b) => b.high[d])));
    if (!all.length) [this.left, this.top, this.width, this.height] = [0, 0, 16, 9];
    else {
      const margin = 0.08 * Math.max(high[0] - low[0], high[1] - low[1], 1e-6);
      this.left = low[0] - margin;
      this.top = low[1] - margin;
      this.width = high[0] - low[0] + 2 * margin;
      this.height = high[1] - low[1] + 2 * margin;
    }
  }

  /** Scale and shift for this frame. With `follow` = {track, person, frame} the person fills most of the canvas. */
  aim(width, height, follow) {
    const fit = Math.min(width / this.width, height / this.height);
    this.scale = fit;
    this.shiftX = (width - this.width * fit) / 2 - this.left * fit;
    this.shiftY = (height - this.height * fit) / 2 - this.top * fit;
    this.zoom = null;
    if (!follow || follow.frame < 0) return;
    const { middles, size } = follow.track.path(follow.person);
    const x = middles[follow.frame * 2];
    const y = middles[follow.frame * 2 + 1];
    if (Number.isNaN(x)) return;
    const scale = Math.max(Math.min((0.8 * width) / size[0], (0.8 * height) / size[1]), fit);
    this.scale = scale;
    this.shiftX = clampShift(width / 2 - x * scale, width, this.left * scale, this.width * scale);
    this.shiftY = clampShift(height / 2 - y * scale, height, this.top * scale, this.height * scale);
    const ratio = scale / fit; // the video element lies in the middle of the canvas, as large as fits
    this.zoom = {
      scale: ratio,
      x: this.shiftX + this.left * scale - (ratio * (width - this.width * fit)) / 2,
      y: this.shiftY + this.top * scale - (ratio * (height - this.height * fit)) / 2,
    };
  }

  place(positions, at, out, to) {
    out[to] = positions[at] * this.scale + this.shiftX;
    out[to + 1] = positions[at + 1] * this.scale + this.shiftY;
  }
}

/** Keeps a picture (start, size in canvas pixels) covering the canvas where it can. */
function clampShift(shift, extent, start, size) {
  if (size <= extent) return (extent - size) / 2 - start;
  return Math.min(Math.max(shift, extent - start - size), -start);
}

const UPS = {
  "z up": (p, at) => [p[at], p[at + 2], -p[at + 1]],
  "y up": (p, at) => [p[at], p[at + 1], p[at + 2]],
  "y down": (p, at) => [p[at], -p[at + 1], -p[at + 2]],
};

/** 3D: turned about the vertical and tilted, weak perspective, over a ground grid. */
class SpaceView {
  constructor(tracks) {
    this.tracks = tracks;
    this.yaw = -0.6;
    this.pitch = 0.18;
    this.magnify = 1;
    this.setUp(upOf(tracks[0]));
  }

  setUp(up) {
    this.up = up;
    this.turned = UPS[up];
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (const track of this.tracks) {
      const bounds = track.bounds();
      if (bounds.empty) continue;
      for (const corner of [bounds.low, bounds.high]) {
        this.turned(corner, 0).forEach((value, d) => {
          low[d] = Math.min(low[d], value);
          high[d] = Math.max(high[d], value);
        });
      }
    }
    if (!(low[0] <= high[0])) low.fill(-1), high.fill(1);
    this.middle = low.map((value, d) => (value + high[d]) / 2);
    this.extent = Math.max(...low.map((value, d) => high[d] - value), 1e-9);
    this.ground = low[1];
    this.low = low;
    this.high = high;
  }

  aim(width, height, follow) {
    this.centre = this.middle;
    let extent = this.extent;
    if (follow && follow.frame >= 0) {
      const { middles, size } = follow.track.path(follow.person);
      if (!Number.isNaN(middles[follow.frame * 3])) {
        this.centre = this.turned(middles, follow.frame * 3);
        extent = Math.max(...size);
      }
    }
    this.distance = 3.2 * extent;
    this.scale = (0.82 * this.magnify * Math.min(width, height * 1.15)) / extent / 1.15;
    this.halfWidth = width / 2;
    this.halfHeight = height / 2;
    this.sines = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
  }

  place(positions, at, out, to) {
    this.placeTurned(this.turned(positions, at), out, to);
  }

  placeTurned([px, py, pz], out, to) {
    const [sy, cy, sp, cp] = this.sines;
    const x = px - this.centre[0];
    const y = py - this.centre[1];
    const z = pz - this.centre[2];
    const right = cy * x + sy * z;
    const forth = -sy * x + cy * z;
    const high = cp * y - sp * forth;
    const near = sp * y + cp * forth;
    const scale = (this.scale * this.distance) / Math.max(this.distance - near, 0.1 * this.distance);
    out[to] = this.halfWidth + right * scale;
    out[to + 1] = this.halfHeight - high * scale;
  }

  /** Grid lines on the ground, with a step of 1, 2 or 5 times a power of ten. */
  drawGround(pen, colour) {
    const step = niceStep(this.extent / 6);
    const from = [0, 2].map((d) => Math.floor(this.low[d] / step) * step - step);
    const to = [0, 2].map((d) => Math.ceil(this.high[d] / step) * step + step);
    const ends = new Float32Array(4);
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    pen.beginPath();
    const line = (a, b) => {
      this.placeTurned(a, ends, 0);
      this.placeTurned(b, ends, 2);
      pen.moveTo(ends[0], ends[1]);
      pen.lineTo(ends[2], ends[3]);
    };
    for (let x = from[0]; x <= to[0] + step / 2; x += step) line([x, this.ground, from[1]], [x, this.ground, to[1]]);
    for (let z = from[1]; z <= to[1] + step / 2; z += step) line([from[0], this.ground, z], [to[0], this.ground, z]);
    pen.stroke();
  }
}

/** Which way is up: where heads are above feet; without either, what the frame prescribes. */
function upOf(track) {
  const usual = track.frame === "world" ? "z up" : "y down";
  const mean = (wanted) => {
    const sum = [0, 0, 0];
    let count = 0;
    track.joints.forEach((name, j) => {
      if (!wanted.test(name)) return;
      for (let t = 0; t < track.T; t += Math.ceil(track.T / 50)) {
        const at = track.P ? track.at(0, t, j) : NaN;
        if (!(track.positions[at] === track.positions[at])) continue;
        for (let d = 0; d < 3; d++) sum[d] += track.positions[at + d];
        count++;
      }
    });
    return count ? sum.map((value) => value / count) : null;
  };
  const heads = mean(/head|nose|neck/);
  const feet = mean(/ankle|heel|foot|toe/);
  if (!heads || !feet) return usual;
  const rise = heads.map((value, d) => value - feet[d]);
  if (Math.abs(rise[2]) > Math.abs(rise[1])) return rise[2] > 0 ? "z up" : usual;
  return rise[1] > 0 ? "y up" : "y down";
}

function niceStep(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= size * 0.999) ?? 10 * power;
}

/** Bones as lines, joints as discs (bold) or rings (thin); over a video with a dark edge so that any ground will do. */
function drawSkeleton(pen, points, alphas, track, colour, size, overVideo) {
  const width = size * (track.bold ? 1 : 0.62);
  pen.lineCap = "round";
  pen.lineJoin = "round";
  const strokes = overVideo ? [["rgb(0 0 0 / 55%)", width + 2.2 * size * 0.45], [colour, width]] : [[colour, width]];
  for (const [style, lineWidth] of strokes) {
    pen.strokeStyle = style;
    pen.lineWidth = lineWidth;
    for (const [a, b] of track.bones) {
      const alpha = Math.min(alphas[a], alphas[b]);
      if (!(alpha > 0)) continue;
      pen.globalAlpha = alpha;
      pen.beginPath();
      pen.moveTo(points[2 * a], points[2 * a + 1]);
      pen.lineTo(points[2 * b], points[2 * b + 1]);
      pen.stroke();
    }
  }
  for (let j = 0; j < track.J; j++) {
    if (!(alphas[j] > 0)) continue;
    pen.globalAlpha = alphas[j];
    pen.beginPath();
    pen.arc(points[2 * j], points[2 * j + 1], width * (track.bold ? 1.05 : 1.5), 0, 2 * Math.PI);
    pen.fillStyle = colour;
    pen.strokeStyle = overVideo ? "rgb(0 0 0 / 60%)" : colour;
    pen.lineWidth = Math.max(0.35 * size, 0.8);
    if (track.bold) pen.fill();
    else pen.strokeStyle = colour;
    pen.stroke();
  }
  pen.globalAlpha = 1;
}
