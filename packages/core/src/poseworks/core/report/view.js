// View: 2D positions as places on a canvas, and skeletons drawn there.

const OVER_VIDEO = { orange: "#ffa03c", blue: "#4cc3ff", green: "#3fe0a0", pink: "#ff93d2" };

/** The colour of a track: bright over a video, from the style sheet on a plain ground. */
function colourOf(track, overVideo) {
  return overVideo ? OVER_VIDEO[track.colour] : cssValue(`--${track.colour}`);
}

/** 2D: image coordinates (x right, y down) fitted into the canvas; can follow a person. */
class ImageView {
  constructor(tracks, bodies, video) {
    this.tracks = tracks;
    const sized = [...tracks, ...bodies].find((track) => track.imageSize);
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

  /** Sets up `see` for the camera of a track: {focal, wide}; the middle of the picture is the camera's. */
  lookThrough({ focal, wide }) {
    const scale = wide ? this.width / wide : 1;
    this.lens = { focal: focal * scale, x: this.left + this.width / 2, y: this.top + this.height / 2 };
  }

  /** Writes vertices in camera axes as (right, up, near) and as places with the inverse of their depth. */
  see(vertices, eye, points) {
    const { focal, x, y } = this.lens;
    for (let i = 0; i < vertices.length; i += 3) {
      const [right, down, away] = [vertices[i], vertices[i + 1], vertices[i + 2]];
      eye[i] = right;
      eye[i + 1] = -down;
      eye[i + 2] = -away;
      points[i] = (x + (focal * right) / away) * this.scale + this.shiftX;
      points[i + 1] = (y + (focal * down) / away) * this.scale + this.shiftY;
      points[i + 2] = 1 / away;
    }
  }

  /** Writes the place of a joint on the canvas; returns how much larger things are drawn there: nothing is nearer. */
  place(track, person, frame, joint, out, to) {
    const at = track.at(person, frame, joint);
    out[to] = track.positions[at] * this.scale + this.shiftX;
    out[to + 1] = track.positions[at + 1] * this.scale + this.shiftY;
    return 1;
  }
}

/** Keeps a picture (start, size in canvas pixels) covering the canvas where it can. */
function clampShift(shift, extent, start, size) {
  if (size <= extent) return (extent - size) / 2 - start;
  return Math.min(Math.max(shift, extent - start - size), -start);
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
