// Space: 3D poses on the ground that they stand on, turned, moved and brought nearer by hand.

/** From a track's axes to (right, up, towards the viewer). Each is a rotation, so that nobody is mirrored. */
const UPS = {
  "z up": (p, at) => [p[at], p[at + 2], -p[at + 1]],
  "y up": (p, at) => [p[at], p[at + 1], p[at + 2]],
  "y down": (p, at) => [p[at], -p[at + 1], -p[at + 2]],
};
const HOME = { yaw: -0.6, pitch: 0.2, magnify: 1, panX: 0, panY: 0 };
const FIXED = {
  front: { ...HOME, yaw: 0, pitch: 0 },
  side: { ...HOME, yaw: -Math.PI / 2, pitch: 0 },
  top: { ...HOME, yaw: 0, pitch: Math.PI / 2 },
};
const COVERED = [46, 34]; // pixels at the top and the bottom that buttons and captions lie over
const FEET = /ankle|heel|foot|toe/;
const MOST_SAMPLES = 300; // frames a person that the framing looks at
const MOST_POINTS = 1500; // of a path or a trail

/**
 * 3D with a mild perspective. What stands in the world or in camera axes stays where it is, on a ground at the height
 * of its feet. Poses relative to their root have no place: each person gets one, beside the others, and is set on the
 * ground by the lowest foot, so that somebody who squats sinks and does not draw up the feet.
 */
class SpaceView {
  constructor(tracks) {
    this.tracks = tracks;
    Object.assign(this, HOME);
    this.setUp(upOf(tracks.find((track) => track.bold) ?? tracks[0]));
  }

  setUp(up) {
    this.up = up;
    this.turned = UPS[up];
    this.paths = new Map();
    this.standing = new Map(this.tracks.map((track) => [track, this.footing(track)]));
    const free = this.tracks.filter((track) => track.frame !== "root").flatMap((track) => this.standing.get(track));
    this.ground = free.length ? quantile(free.flatMap((lows) => spread(lows, MOST_SAMPLES)), 0.1, 0) : 0;
    this.beside = new Float32Array(Math.max(...this.tracks.map((track) => track.P), 1));
    this.apart();
    this.fit();
  }

  /** Per person the height of the lowest foot in each frame: medians over a seventh of a second, averaged. */
  footing(track) {
    let feet = [...track.joints.keys()].filter((j) => FEET.test(track.joints[j]));
    if (!feet.length) feet = [...track.joints.keys()];
    return Array.from({ length: track.P }, (_, person) => {
      const lows = new Float32Array(track.T).fill(NaN);
      for (let t = 0; t < track.T; t++) {
        for (const j of feet) {
          const height = this.turned(track.positions, track.at(person, t, j))[1] - (track.sole ?? 0);
          if (!(height >= lows[t])) lows[t] = Number.isNaN(height) ? lows[t] : height;
        }
      }
      const radius = Math.max(Math.round(track.fps / 14), 1);
      const steady = lows.map((_, t) => quantile(spread(lows.subarray(Math.max(t - radius, 0), t + radius + 1), Infinity), 0.5, NaN));
      const usual = quantile(spread(steady, 2000), 0.5, 0); // before the first foot is seen
      return averaged(steady, track.T, 1, radius).map((value) => (Number.isNaN(value) ? usual : value));
    });
  }

  /** Places for people without one: in a row, as far apart as arms reach. */
  apart() {
    const loose = this.tracks.filter((track) => track.frame === "root");
    const people = [...this.beside.keys()].filter((p) => loose.some((track) => p < track.P && track.span(p)));
    if (people.length < 2) return;
    const reaches = [];
    for (const track of loose) {
      for (let p = 0; p < track.P; p++) {
        this.sample(track, p, ([x, , z]) => reaches.push(Math.hypot(x, z)));
      }
    }
    const step = 1.9 * quantile(reaches, 0.97, 1);
    people.forEach((p, place) => (this.beside[p] = (place - (people.length - 1) / 2) * step));
  }

  sample(track, person, take) {
    for (let t = 0; t < track.T; t += Math.ceil(track.T / MOST_SAMPLES)) {
      for (let j = 0; j < track.J; j++) {
        const where = this.where(track, person, t, j);
        if (!Number.isNaN(where[1])) take(where);
      }
    }
  }

  /** What the picture has to hold: nearly all samples, so that one wild joint does not make everybody small. */
  fit() {
    const axes = [[], [], []];
    for (const track of this.tracks) {
      for (let p = 0; p < track.P; p++) this.sample(track, p, (where) => where.forEach((value, d) => axes[d].push(value)));
    }
    const low = axes.map((values) => quantile(values, 0.005, -1));
    const high = axes.map((values) => quantile(values, 0.995, 1));
    low[1] = Math.min(low[1], this.ground);
    this.middle = low.map((value, d) => (value + high[d]) / 2);
    this.size = low.map((value, d) => Math.max(high[d] - value, 1e-9));
  }

  /** (right, up, towards the viewer) of a joint, in the track's unit; NaN where it was not observed. */
  where(track, person, frame, joint) {
    const found = this.turned(track.positions, track.at(person, frame, joint));
    if (track.frame !== "root") return found;
    found[0] += this.beside[person];
    found[1] += this.ground - this.standing.get(track)[person][frame];
    return found;
  }

  /** `follow` = {track, person, frame}: that person fills the canvas. */
  aim(width, height, follow) {
    this.centre = this.middle;
    let size = this.size;
    if (follow && follow.frame >= 0) {
      const { track, person, frame } = follow;
      const { middles, size: box } = track.path(person);
      const middle = this.turned(middles, frame * 3);
      if (!Number.isNaN(middle[1])) {
        const root = track.frame === "root";
        if (root) middle[0] += this.beside[person];
        if (root) middle[1] += this.ground - this.standing.get(track)[person][frame];
        this.centre = middle;
        size = this.turned(box, 0).map(Math.abs);
      }
    }
    const across = Math.max(Math.hypot(size[0], size[2]), 0.6 * size[1]);
    const upright = size[1] + 0.22 * across;
    this.extent = Math.max(across, size[1]);
    this.step = niceStep(this.extent / 8);
    this.distance = 3.2 * this.extent;
    const [top, bottom] = COVERED.map((edge) => Math.min(edge, height / 5));
    this.scale = 0.88 * this.magnify * Math.min(width / across, (height - top - bottom) / upright);
    this.halfWidth = width / 2 + this.panX * height;
    this.halfHeight = (height + top - bottom) / 2 + this.panY * height;
    this.sines = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
  }

  /** Writes the place on the canvas; returns how much larger things are drawn there than in the middle. */
  place(track, person, frame, joint, out, to) {
    return this.project(this.where(track, person, frame, joint), out, to);
  }

  project(place, out, to) {
    return this.onCanvas(this.toEye(place), out, to);
  }

  /** (right, up, near) of the viewer, from the middle of what is looked at. */
  toEye([px, py, pz]) {
    const [sy, cy, sp, cp] = this.sines;
    const x = px - this.centre[0];
    const y = py - this.centre[1];
    const z = pz - this.centre[2];
    const forth = -sy * x + cy * z;
    return [cy * x + sy * z, cp * y - sp * forth, sp * y + cp * forth];
  }

  onCanvas([right, high, near], out, to) {
    const nearer = this.distance / Math.max(this.distance - near, 0.1 * this.distance);
    out[to] = this.halfWidth + right * this.scale * nearer;
    out[to + 1] = this.halfHeight - high * this.scale * nearer;
    return nearer;
  }

  /** Writes vertices in the tracks' axes as (right, up, near) and as places with how much larger they are drawn. */
  see(vertices, eye, points) {
    for (let i = 0; i < vertices.length; i += 3) {
      const seen = this.toEye(this.turned(vertices, i));
      eye[i] = seen[0];
      eye[i + 1] = seen[1];
      eye[i + 2] = seen[2];
      points[i + 2] = this.onCanvas(seen, points, i);
    }
  }

  /** The tracks' own axes as directions on the canvas: [name, right, down, near]. */
  axes() {
    const [sy, cy, sp, cp] = this.sines;
    return ["x", "y", "z"].map((name, d) => {
      const [x, y, z] = this.turned([0, 1, 2].map((each) => Number(each === d)), 0);
      const forth = -sy * x + cy * z;
      return [name, cy * x + sy * z, -(cp * y - sp * forth), sp * y + cp * forth];
    });
  }

  /** Grid lines on the ground that fade out around what is looked at; a step is 1, 2 or 5 times a power of ten. */
  drawGround(pen, colour) {
    const { step, ground } = this;
    const reach = 0.8 * this.extent + 2 * step;
    const count = Math.ceil(reach / step);
    const [x0, z0] = [this.centre[0], this.centre[2]];
    const [left, back] = [x0, z0].map((value) => Math.round(value / step) * step);
    const shades = Array.from({ length: 5 }, () => []);
    const line = (a, b) => {
      const away = Math.hypot((a[0] + b[0]) / 2 - x0, (a[2] + b[2]) / 2 - z0) / reach;
      if (away < 1) shades[Math.floor((1 - away) * 5)].push([a, b]);
    };
    for (let i = -count; i <= count; i++) {
      for (let j = -count; j < count; j++) {
        const [along, next, across] = [j * step, (j + 1) * step, i * step];
        line([left + along, ground, back + across], [left + next, ground, back + across]);
        line([left + across, ground, back + along], [left + across, ground, back + next]);
      }
    }
    const ends = new Float32Array(4);
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    shades.forEach((lines, shade) => {
      pen.globalAlpha = Math.min((shade + 0.6) / 4, 1);
      pen.beginPath();
      for (const [a, b] of lines) {
        this.project(a, ends, 0);
        this.project(b, ends, 2);
        pen.moveTo(ends[0], ends[1]);
        pen.lineTo(ends[2], ends[3]);
      }
      pen.stroke();
    });
    pen.globalAlpha = 1;
  }

  /** Where a person goes during the whole clip: (right, towards) of their root at each of `frames`. */
  path(track, person) {
    const key = `${track.number} ${person}`;
    if (this.paths.has(key)) return this.paths.get(key);
    const wanted = ["pelvis", "mid_hip", "left_hip", "right_hip"].map((name) => track.joints.indexOf(name));
    const roots = wanted[0] >= 0 ? [wanted[0]] : wanted[1] >= 0 ? [wanted[1]] : wanted.slice(2).filter((j) => j >= 0);
    const path = { frames: [], places: [] };
    for (let t = 0; t < track.T; t += Math.ceil(track.T / MOST_POINTS)) {
      const found = (roots.length ? roots : [0]).map((j) => this.where(track, person, t, j));
      path.frames.push(t);
      path.places.push([0, 2].map((d) => found.reduce((sum, where) => sum + where[d], 0) / found.length));
    }
    this.paths.set(key, path);
    return path;
  }
}

/** At most `count` of the values, evenly taken, and of these those that are numbers. */
function spread(values, count) {
  const found = [];
  const step = Math.max(Math.ceil(values.length / count), 1);
  for (let i = 0; i < values.length; i += step) if (!Number.isNaN(values[i])) found.push(values[i]);
  return found;
}

function quantile(values, share, otherwise) {
  if (!values.length) return otherwise;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.round(share * (sorted.length - 1))];
}

/** Which way is up: where heads are above feet, by far; else what the frame prescribes (somebody lies, or has no head). */
function upOf(track) {
  const usual = track.usualUp ?? (track.frame === "world" ? "z up" : "y down");
  const mean = (wanted) => {
    const sum = [0, 0, 0];
    let count = 0;
    track.joints.forEach((name, j) => {
      if (!wanted.test(name)) return;
      for (let person = 0; person < track.P; person++) {
        for (let t = 0; t < track.T; t += Math.ceil(track.T / 50)) {
          const at = track.at(person, t, j);
          if (Number.isNaN(track.positions[at])) continue;
          for (let d = 0; d < 3; d++) sum[d] += track.positions[at + d];
          count++;
        }
      }
    });
    return count ? sum.map((value) => value / count) : null;
  };
  const heads = mean(/head|nose|neck/);
  const feet = mean(FEET);
  if (!heads || !feet) return usual;
  const rise = heads.map((value, d) => value - feet[d]);
  const clear = (d) => Math.abs(rise[d]) > 0.8 * Math.hypot(...rise);
  if (clear(2)) return rise[2] > 0 ? "z up" : usual;
  if (clear(1)) return rise[1] > 0 ? "y up" : "y down";
  return usual;
}
