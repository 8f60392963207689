// Curves: coordinates, speed and acceleration of one joint over time, with a cursor in step with the picture.

const EDGE = { left: 52, right: 8, top: 8, bottom: 20 };

/** Lowest and highest of several series between two frames; null if nothing is there. */
function rangeOf(lines, seconds) {
  let low = Infinity;
  let high = -Infinity;
  for (const { values, track } of lines) {
    const end = Math.min(firstAt(track.times, seconds[1]) + 1, values.length);
    for (let t = firstAt(track.times, seconds[0]); t < end; t++) {
      if (values[t] < low) low = values[t];
      if (values[t] > high) high = values[t];
    }
  }
  return low <= high ? [low, high] : null;
}

function shortNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4);
}

/** One diagram. `lines` is [{track, values}], all with one unit. */
class Plot {
  constructor(state, name, unit, upsideDown) {
    this.state = state;
    this.unit = unit;
    this.upsideDown = upsideDown;
    this.lines = [];
    this.element = document.createElement("div");
    this.element.className = "plot";
    this.caption = document.createElement("div");
    this.caption.className = "caption";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${name} in ${unit} over time`);
    this.name = name;
    this.element.append(this.caption, this.canvas);
    this.still = document.createElement("canvas"); // the curves alone; a new frame only moves the cursor over them
    this.listen();
  }

  listen() {
    const seek = (event) => {
      const share = (event.offsetX - EDGE.left) / (this.canvas.clientWidth - EDGE.left - EDGE.right);
      const [from, to] = this.seconds;
      const { clock } = this.state;
      const seconds = Math.min(Math.max(from + share * (to - from), clock.track.times[0] ?? 0), clock.track.duration);
      clock.pause();
      clock.seek(Math.max(clock.track.frameAt(seconds), 0));
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && seek(event));
  }

  /** Seconds shown: the whole clip, or a span about the cursor. */
  window() {
    const { clock, span } = this.state;
    const all = [clock.track.times[0] ?? 0, clock.track.duration];
    if (!span || span >= all[1] - all[0]) return all;
    const now = clock.track.times[clock.target] ?? 0;
    const from = Math.min(Math.max(now - span / 2, all[0]), all[1] - span);
    return [from, from + span];
  }

  draw(anew) {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (!width) return;
    const seconds = this.window();
    const moved = !this.seconds || seconds[0] !== this.seconds[0] || seconds[1] !== this.seconds[1];
    this.seconds = seconds;
    if (anew || moved || this.canvas.width !== Math.round(width * ratio)) {
      for (const canvas of [this.canvas, this.still]) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      this.drawStill(width, height, ratio);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.still, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawCursor(pen, height);
    this.write();
  }

  drawStill(width, height, ratio) {
    const pen = this.still.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const shown = this.lines.filter(({ track }) => track.shown);
    const range = rangeOf(shown, this.seconds) ?? rangeOf(this.lines, this.seconds) ?? [0, 1];
    const size = Math.max(Math.abs(range[0]), Math.abs(range[1]));
    const spread = range[1] - range[0]; // less than float32 can tell apart well is none
    const margin = spread > 1e-5 * size ? 0.06 * spread : Math.max(size * 0.05, 1e-6);
    const [low, high] = [range[0] - margin, range[1] + margin];
    const inner = height - EDGE.top - EDGE.bottom;
    const [from, to] = this.seconds;
    this.x = (second) => EDGE.left + ((second - from) / Math.max(to - from, 1e-9)) * (width - EDGE.left - EDGE.right);
    this.y = (value) => {
      const share = (value - low) / (high - low);
      return EDGE.top + inner * (this.upsideDown ? share : 1 - share);
    };
    this.drawAxes(pen, width, height, low, high);
    pen.save();
    pen.beginPath();
    pen.rect(EDGE.left, EDGE.top - 2, width - EDGE.left - EDGE.right, inner + 4);
    pen.clip();
    for (const line of shown) this.drawLine(pen, line, width);
    pen.restore();
  }

  drawAxes(pen, width, height, low, high) {
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = cssValue("--soft");
    pen.strokeStyle = cssValue("--faint");
    pen.lineWidth = 1;
    const step = niceStep((high - low) / 4);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
      const y = Math.round(this.y(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(EDGE.left, y);
      pen.lineTo(width - EDGE.right, y);
      pen.stroke();
      pen.fillText(tickText(value, step), EDGE.left - 6, y);
    }
    const [from, to] = this.seconds;
    const second = timeStep(Math.max(to - from, 1e-6) / Math.max(Math.floor(width / 90), 2));
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (let value = Math.ceil(from / second - 1e-6) * second; value <= to; value += second) {
      const x = this.x(value);
      if (x > width - 14) continue;
      pen.fillText(timeText(value, second, to), Math.max(x, EDGE.left + 8), height - EDGE.bottom + 5);
    }
  }

  /** A line through the points, or, where several share a pixel column, from the lowest to the highest of each column. */
  drawLine(pen, { track, values }, width) {
    const { times } = track;
    pen.strokeStyle = colourOf(track, false);
    pen.lineWidth = track.bold ? 2 : 1.2;
    pen.lineJoin = "round";
    const [first, last] = [firstAt(times, this.seconds[0]) - 1, firstAt(times, this.seconds[1]) + 1];
    const from = Math.max(first, 0);
    const to = Math.min(last, values.length - 1);
    pen.beginPath();
    if (to - from < 2 * width) {
      let down = false;
      for (let t = from; t <= to; t++) {
        if (Number.isNaN(values[t])) down = false;
        else {
          if (down) pen.lineTo(this.x(times[t]), this.y(values[t]));
          else {
            pen.moveTo(this.x(times[t]) - 0.5, this.y(values[t]));
            pen.lineTo(this.x(times[t]), this.y(values[t]));
            if (!(values[t + 1] === values[t + 1])) this.drawDot(pen, this.x(times[t]), this.y(values[t]));
          }
          down = true;
        }
      }
    } else {
      pen.lineWidth = track.bold ? 1.4 : 1;
      let t = from;
      for (let column = EDGE.left; column < width - EDGE.right; column++) {
        let low = Infinity;
        let high = -Infinity;
        for (; t <= to && this.x(times[t]) < column + 1; t++) {
          if (values[t] < low) low = values[t];
          if (values[t] > high) high = values[t];
        }
        if (low <= high) {
          pen.moveTo(column + 0.5, this.y(low) + 0.4);
          pen.lineTo(column + 0.5, this.y(high) - 0.4);
        }
      }
    }
    pen.stroke();
  }

  /** A value without neighbours, as where only every fifth frame was looked at: added to the path. */
  drawDot(pen, x, y) {
    pen.moveTo(x + 1.2, y);
    pen.arc(x, y, 1.2, 0, 2 * Math.PI);
  }

  drawCursor(pen, height) {
    const { clock } = this.state;
    const second = clock.track.times[clock.target];
    if (second === undefined || !this.x) return;
    const x = this.x(second);
    pen.strokeStyle = cssValue("--ink");
    pen.globalAlpha = 0.7;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, EDGE.top - 4);
    pen.lineTo(x, height - EDGE.bottom + 2);
    pen.stroke();
    pen.globalAlpha = 1;
    for (const { track, values } of this.lines) {
      const value = values[track.frameAt(second)];
      if (!track.shown || !Number.isFinite(value)) continue;
      pen.fillStyle = colourOf(track, false);
      pen.beginPath();
      pen.arc(x, this.y(value), track.bold ? 3.6 : 2.8, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  /** The caption: name, unit, and the value of each track under the cursor. */
  write() {
    const { clock } = this.state;
    const second = clock.track.times[clock.target] ?? 0;
    const name = document.createElement("b");
    name.textContent = this.name;
    const unit = document.createElement("span");
    unit.textContent = this.unit;
    const values = this.lines.filter(({ track }) => track.shown).map(({ track, values: series }) => {
      const element = document.createElement("span");
      element.style.color = colourOf(track, false);
      element.textContent = shortNumber(series[track.frameAt(second)]);
      element.title = track.label;
      return element;
    });
    this.caption.replaceChildren(name, unit, ...values);
  }
}

/** Index of the first time that is not before `second`. */
function firstAt(times, second) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < second) low = middle + 1;
    else high = middle;
  }
  return low;
}

function tickText(value, step) {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return (Math.abs(value) < step / 2 ? 0 : value).toLocaleString("en", {
    minimumFractionDigits: Math.min(digits, 6), maximumFractionDigits: Math.min(digits, 6) });
}

/** As `niceStep`, but whole minutes and hours beyond half a minute. */
function timeStep(size) {
  if (size <= 20) return niceStep(size);
  return [30, 60, 120, 300, 600, 900, 1800, 3600].find((step) => step >= size) ?? 3600 * Math.ceil(size / 3600);
}

/** "1.5 s"; in clips of over two minutes "12:05" or "1:12:05". */
function timeText(seconds, step, end) {
  if (end <= 120) return `${tickText(seconds, step)} s`;
  const digits = step < 1 ? 1 : 0;
  const rest = (Math.floor((seconds % 60) * 10 ** digits + 1e-6) / 10 ** digits).toFixed(digits).padStart(digits ? 4 : 2, "0");
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** The diagrams of the chosen joint: one a coordinate, then speed and acceleration. */
class Curves {
  constructor(state, element) {
    this.state = state;
    this.element = element;
    this.plots = [];
    new ResizeObserver(() => this.draw(true)).observe(element);
  }

  /** New diagrams for the chosen space, person and joint. */
  choose() {
    const { tracks, group, person, joint } = this.state;
    const wanted = tracks.filter((track) => track.group === group && person < track.P && track.joints.includes(joint));
    const lines = wanted.map((track) => {
      const axes = track.axes(person, track.joints.indexOf(joint));
      return { track, axes, ...track.motion(axes) };
    });
    const unit = wanted.length ? wanted[0].unit : "";
    const down = wanted.length && wanted[0].D === 2;
    const plot = (name, ofUnit, upsideDown, values) => {
      const made = new Plot(this.state, name, ofUnit, upsideDown);
      made.lines = lines.map((line) => ({ track: line.track, values: values(line) }));
      return made;
    };
    this.plots = [];
    for (let d = 0; lines.length && d < wanted[0].D; d++) {
      const downwards = down && d === 1;
      this.plots.push(plot("xyz"[d], downwards ? `${unit}, downwards` : unit, downwards, (line) => line.axes[d]));
    }
    if (lines.length) {
      this.plots.push(plot("Speed", `${unit}/s`, false, (line) => line.speed));
      this.plots.push(plot("Acceleration", `${unit}/s²`, false, (line) => line.acceleration));
    }
    this.element.replaceChildren(...this.plots.map((each) => each.element));
    this.draw(true);
  }

  draw(anew) {
    for (const plot of this.plots) plot.draw(anew);
  }
}
