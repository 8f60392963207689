// Tracks: the embedded numbers as typed arrays, and what is computed from them.

/** Bytes of an embedded text; the text itself is dropped from the page to free its memory. */
function takeBytes(id) {
  const element = document.getElementById(id);
  const text = element.textContent;
  element.remove();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Embedded numbers (..., dims) as Float32Array; NaN where they are missing. */
function readNumbers({ key, type, offset, step }, dims) {
  const { buffer } = takeBytes(key);
  if (type === "float32") return new Float32Array(buffer);
  const numbers = new Int16Array(buffer);
  const found = new Float32Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const axis = i % dims;
    found[i] = numbers[i] === -32768 ? NaN : numbers[i] * step[axis] + offset[axis];
  }
  return found;
}

/** Poses of one track. `positions` is flat (P, T, J, D); NaN where a joint was not observed. */
class Track {
  constructor(facts, number) {
    Object.assign(this, facts);
    this.number = number;
    [this.P, this.T, this.J, this.D] = facts.shape;
    this.shown = true;
    this.group = String(this.D); // tracks of one group share curves, and a view
    this.overlay = this.D === 2 && this.frame === "image" && this.unit === "px";
    this.rounded = this.rounding(facts);
    this.positions = this.read(facts);
    this.confidence = facts.confidence ? takeBytes(facts.confidence) : null;
    this.times = facts.times ? new Float64Array(takeBytes(facts.times).buffer) : null;
    if (!this.times) {
      this.times = new Float64Array(this.T);
      for (let t = 0; t < this.T; t++) this.times[t] = t / this.fps;
    }
  }

  read(facts) {
    return readNumbers(facts.positions, this.D);
  }

  /** By how much the embedded numbers may be off; "" where they are exact. */
  rounding(facts) {
    const { type, step } = facts.positions;
    return type === "float32" ? "" : `±${Math.max(...step.map((each) => each / 2)).toPrecision(2)} ${this.unit}`;
  }

  /** Seconds from the first frame to the end of the last one. */
  get duration() {
    return this.T ? this.times[this.T - 1] + 1 / this.fps : 0;
  }

  /** Where (person, frame, joint) begins in `positions`. */
  at(person, frame, joint) {
    return ((person * this.T + frame) * this.J + joint) * this.D;
  }

  /** The frame on show at `seconds`, or -1 outside the track. A video's own stamps may lie a hair before ours. */
  frameAt(seconds) {
    const times = this.times;
    const slack = 0.25 / this.fps;
    if (!this.T || seconds < times[0] - 1 / this.fps || seconds > this.duration + slack) return -1;
    let low = 0;
    let high = this.T - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= seconds + slack) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Track number, or place in the file from 0: what the harm report calls the person too. */
  personName(person) {
    return String(this.people ? this.people[person] : person);
  }

  /** [x, y(, z)] tracks of one joint, each Float32Array (T). */
  axes(person, joint) {
    const found = [];
    for (let d = 0; d < this.D; d++) {
      const values = new Float32Array(this.T);
      for (let t = 0; t < this.T; t++) values[t] = this.positions[this.at(person, t, joint) + d];
      found.push(values);
    }
    return found;
  }

  /** Speed (central differences) and acceleration (second differences) of one joint, per second. */
  motion(axes) {
    const speed = new Float32Array(this.T).fill(NaN);
    const acceleration = new Float32Array(this.T).fill(NaN);
    for (let t = 1; t + 1 < this.T; t++) {
      const before = this.times[t] - this.times[t - 1];
      const after = this.times[t + 1] - this.times[t];
      let first = 0;
      let second = 0;
      for (const x of axes) {
        first += ((x[t + 1] - x[t - 1]) / (before + after)) ** 2;
        second += (((x[t + 1] - x[t]) / after - (x[t] - x[t - 1]) / before) / ((before + after) / 2)) ** 2;
      }
      speed[t] = Math.sqrt(first);
      acceleration[t] = Math.sqrt(second);
    }
    return { speed, acceleration };
  }

  /** Per frame: does the person have any joint? */
  seen(person) {
    const seen = new Uint8Array(this.T);
    for (let t = 0; t < this.T; t++) {
      const start = this.at(person, t, 0);
      for (let j = 0; j < this.J && !seen[t]; j++) if (!Number.isNaN(this.positions[start + j * this.D])) seen[t] = 1;
    }
    return seen;
  }

  /** [first, last] frame that shows the person; null for one who is never there. */
  span(person) {
    const seen = this.seen(person);
    const first = seen.indexOf(1);
    return first < 0 ? null : [first, seen.lastIndexOf(1)];
  }

  /** First frame that shows anybody. */
  get firstSeen() {
    const size = this.J * this.D;
    for (let t = 0; t < this.T; t++) {
      for (let p = 0; p < this.P; p++) {
        const start = this.at(p, t, 0);
        for (let i = start; i < start + size; i++) if (!Number.isNaN(this.positions[i])) return t;
      }
    }
    return 0;
  }

  /** Lowest and highest value along each axis, over everything or over one person in one frame. */
  bounds(person = null, frame = null) {
    const low = new Array(this.D).fill(Infinity);
    const high = new Array(this.D).fill(-Infinity);
    const from = person === null ? 0 : this.at(person, frame, 0);
    const to = person === null ? this.positions.length : from + this.J * this.D;
    for (let i = from; i < to; i++) {
      const value = this.positions[i];
      const axis = (i - from) % this.D;
      if (value < low[axis]) low[axis] = value;
      if (value > high[axis]) high[axis] = value;
    }
    return { low, high, empty: !(low[0] <= high[0]) };
  }

  /** Middle and size of a person's box in each frame, the middle averaged over half a second: what "zoom" follows. */
  path(person) {
    this.paths ??= [];
    if (this.paths[person]) return this.paths[person];
    const middles = new Float32Array(this.T * this.D).fill(NaN);
    const sizes = [];
    for (let t = 0; t < this.T; t++) {
      const { low, high, empty } = this.bounds(person, t);
      if (empty) continue;
      for (let d = 0; d < this.D; d++) middles[t * this.D + d] = (low[d] + high[d]) / 2;
      sizes.push(low.map((value, d) => high[d] - value));
    }
    const size = [];
    for (let d = 0; d < this.D; d++) {
      const sorted = sizes.map((s) => s[d]).sort((a, b) => a - b);
      size.push(sorted.length ? sorted[Math.floor(0.95 * (sorted.length - 1))] : 1);
    }
    return (this.paths[person] = { middles: averaged(middles, this.T, this.D, Math.round(this.fps / 4)), size });
  }
}

/** Mean of (T, D) over +-radius frames, skipping NaN; frames with nothing near keep the last value. */
function averaged(values, T, D, radius) {
  const found = new Float32Array(values.length);
  for (let d = 0; d < D; d++) {
    let sum = 0;
    let count = 0;
    let last = NaN;
    const add = (t, sign) => {
      const value = t >= 0 && t < T ? values[t * D + d] : NaN;
      if (!Number.isNaN(value)) {
        sum += sign * value;
        count += sign;
      }
    };
    for (let t = 0; t < radius; t++) add(t, 1);
    for (let t = 0; t < T; t++) {
      add(t + radius, 1);
      add(t - radius - 1, -1);
      if (count) last = sum / count;
      found[t * D + d] = last;
    }
  }
  return found;
}
