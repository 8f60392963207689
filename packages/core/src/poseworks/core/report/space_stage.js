// SpaceStage: the picture of the 3D tracks, with its buttons.

class SpaceStage extends TurnedStage {
  /** `groups`: tracks that can share a place; one group at a time is on show, the last one first. */
  constructor(groups, state) {
    super(groups.at(-1), state, new SpaceView(groups.at(-1)));
    this.groups = groups;
    this.views = new Map([[this.tracks, this.view]]);
    this.box.classList.add("space");
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "3D view");
    this.canvas.tabIndex = 0;
    this.sidesOf = new Map(groups.flat().map((track) => [track, track.joints.map(sideOf)]));
    this.fingers = new Map();
    this.listen();
    this.box.append(this.toolbar(), this.caption());
    this.canvas.setAttribute("aria-label", this.describe());
    this.mark();
  }

  /** Puts another group on show, as it was last looked at. */
  show(group) {
    const tracks = this.groups.find(([track]) => track.group === group) ?? this.tracks;
    if (tracks === this.tracks) return;
    this.tracks = tracks;
    if (!this.views.has(this.tracks)) this.views.set(this.tracks, new SpaceView(this.tracks));
    this.view = this.views.get(this.tracks);
    this.going = null;
    this.up.value = this.view.up;
    this.canvas.setAttribute("aria-label", this.describe());
    this.mark();
    this.draw();
  }

  describe() {
    return `${this.labels} in 3D. Drag or press the arrow keys to turn, with shift to move; plus and minus zoom, ` +
      "1, 2 and 3 show the front, the side and the top, 0 resets. Click a joint to see its curves.";
  }

  drawScene(shown, width, height) {
    const { pen, view } = this;
    view.drawGround(pen, cssValue("--floor"));
    const bodies = [];
    for (const track of shown) {
      const frame = this.frameOf(track);
      for (let person = 0; person < track.P && frame >= 0; person++) {
        const places = this.places(track, person, frame);
        const seen = places.nearer.filter((each) => each > 0);
        if (!seen.length) continue;
        bodies.push({ track, person, frame, places, near: seen.reduce((sum, each) => sum + each, 0) / seen.length });
      }
      const moves = track.bold && track.frame !== "root";
      for (let person = 0; person < track.P && moves; person++) this.drawWay(track, person, frame);
    }
    if (this.tracks.some((track) => track.frame === "camera")) this.drawCamera();
    for (const body of bodies) this.drawShadow(body);
    this.drawTrails(shown);
    bodies.sort((a, b) => a.track.bold - b.track.bold || a.near - b.near);
    this.drawSkinned(bodies.filter(({ track }) => track.mesh));
    for (const body of bodies) {
      if (this.showsBones(body.track)) this.drawBody(body);
      else this.drawChosen(body.track, body.person, body.places);
    }
    this.drawAxes(width, height);
    this.writeCaption();
  }

  /** Whether the bones of a track are drawn: of a body its skin may stand for them. */
  showsBones(track) {
    return !track.mesh || this.state.body !== "skin";
  }

  /** Skins; where the bones are to be seen too, they shine through. */
  drawSkinned(bodies) {
    const { state } = this;
    if (state.body === "bones") return;
    const dimmed = (person) => (state.people > 1 && person !== state.person ? 0.6 : 1);
    drawSkins(this, bodies.map(({ track, person, frame }) =>
      ({ track, person, frame, alpha: dimmed(person) * (state.body === "both" ? 0.5 : 1) })));
  }

  /** Where the person goes, as a line on the ground; fainter what is to come. */
  drawWay(track, person, frame) {
    const { pen, view } = this;
    const { frames, places } = view.path(track, person);
    const out = new Float32Array(2);
    pen.strokeStyle = colourOf(track, false);
    pen.lineWidth = 1.8;
    pen.lineCap = "butt";
    for (const past of [false, true]) {
      let down = false;
      pen.globalAlpha = (past ? 0.75 : 0.28) * (person === this.state.person ? 1 : 0.5);
      pen.beginPath();
      frames.forEach((t, i) => {
        const [x, z] = places[i];
        if (Number.isNaN(x) || (past && t > frame)) {
          down = false;
          return;
        }
        view.project([x, view.ground, z], out, 0);
        if (down) pen.lineTo(out[0], out[1]);
        else pen.moveTo(out[0], out[1]);
        down = true;
      });
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  /** A small camera where it stood: the origin of camera axes. */
  drawCamera() {
    const { pen, view } = this;
    const size = 0.06 * view.extent;
    const out = new Float32Array(2);
    const corners = [[-1, -0.6], [1, -0.6], [1, 0.6], [-1, 0.6]].map(([x, y]) => view.turned([size * x, size * y, 1.5 * size], 0));
    const lines = corners.flatMap((corner, i) => [[view.turned([0, 0, 0], 0), corner], [corner, corners[(i + 1) % 4]]]);
    pen.strokeStyle = cssValue("--soft");
    pen.lineWidth = 1.3;
    pen.beginPath();
    for (const [a, b] of lines) {
      view.project(a, out, 0);
      pen.moveTo(out[0], out[1]);
      view.project(b, out, 0);
      pen.lineTo(out[0], out[1]);
    }
    pen.stroke();
  }

  /** The skeleton or the skin straight down on the ground: it says where the feet are, which a picture alone does not. */
  drawShadow({ track, person, frame, places }) {
    const { pen, view } = this;
    if (track.mesh && this.state.body !== "bones") {
      drawSkinShadow(pen, view, track, person, frame);
      return;
    }
    const points = new Float32Array(track.J * 2);
    for (let j = 0; j < track.J; j++) {
      if (!places.alphas[j]) continue;
      const [x, , z] = view.where(track, person, frame, j);
      view.project([x, view.ground, z], points, 2 * j);
    }
    pen.strokeStyle = cssValue("--shade");
    pen.lineWidth = 1.6 * this.weight(track, person, frame) * (track.bold ? 1 : 0.6);
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath(); // one path: where bones cross it grows no darker
    for (const [a, b] of track.bones) {
      if (!places.alphas[a] || !places.alphas[b]) continue;
      pen.moveTo(points[2 * a], points[2 * a + 1]);
      pen.lineTo(points[2 * b], points[2 * b + 1]);
    }
    pen.stroke();
  }

  /** Bones and joints from the farthest to the nearest; an edge in the colour of the ground says which bone is before. */
  drawBody({ track, person, frame, places }) {
    const { pen } = this;
    const { points, nearer, alphas } = places;
    const size = 1.4 * this.weight(track, person, frame) * (track.bold ? 1 : 0.5);
    const sides = this.sidesOf.get(track);
    const parts = track.bones.filter(([a, b]) => alphas[a] && alphas[b]);
    for (let j = 0; j < track.J; j++) if (alphas[j]) parts.push([j, j]);
    parts.sort(([a, b], [c, d]) => nearer[a] + nearer[b] - nearer[c] - nearer[d]);
    const edge = cssValue("--stage");
    const stroke = (a, b, short, style, width) => {
      const [x, y] = [points[2 * b] - points[2 * a], points[2 * b + 1] - points[2 * a + 1]];
      pen.strokeStyle = style;
      pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(points[2 * a] + short * x, points[2 * a + 1] + short * y);
      pen.lineTo(points[2 * b] - short * x, points[2 * b + 1] - short * y);
      pen.stroke();
    };
    for (const [a, b] of parts) {
      const width = (size * (nearer[a] + nearer[b])) / 2;
      pen.globalAlpha = Math.min(alphas[a], alphas[b]);
      pen.lineCap = "butt";
      if (a !== b && track.bold) stroke(a, b, 0.2, edge, width + 4); // not at the joints, where it would cut the next bone
      pen.lineCap = "round";
      stroke(a, b, 0, this.colourOfSide(track, between(sides[a], sides[b])), a === b ? 1.7 * width : width);
    }
    pen.globalAlpha = 1;
    this.drawChosen(track, person, places);
  }

  colourOfSide(track, side) {
    return this.state.sides && track.bold ? cssValue(`--${side}`) : colourOf(track, false);
  }

  colourOfJoint(track, joint) {
    return this.colourOfSide(track, this.sidesOf.get(track)[joint]);
  }

  /** The axes of the data in a corner. */
  drawAxes(width, height) {
    const { pen } = this;
    const [x0, y0, length] = [width - 38, height - 36, 20];
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 1.5;
    for (const [name, right, down, near] of this.view.axes().sort((a, b) => a[3] - b[3])) {
      pen.strokeStyle = pen.fillStyle = cssValue("--soft");
      pen.globalAlpha = 0.75 + 0.25 * near;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x0 + length * right, y0 + length * down);
      pen.stroke();
      const flat = Math.hypot(right, down);
      if (flat > 0.25) pen.fillText(name, x0 + (length + 8 / flat) * right, y0 + (length + 8 / flat) * down);
    }
    pen.globalAlpha = 1;
  }

  /** What a step of the grid is, in the unit of the data. */
  writeCaption() {
    const { unit, frame } = this.tracks[0];
    const units = unit === "normalised" ? "(normalised, not metres)" : unit;
    const text = `Grid ${Number(this.view.step.toPrecision(3))} ${units}${frame === "root" ? " · pelvis held in place" : ""}`;
    if (this.scale.textContent !== text) this.scale.textContent = text;
    this.legend.hidden = !this.state.sides;
  }

  caption() {
    const caption = document.createElement("div");
    caption.className = "caption";
    this.legend = document.createElement("span");
    this.legend.className = "sides";
    for (const side of ["left", "right"]) {
      const dot = document.createElement("i");
      dot.className = side;
      this.legend.append(dot, side);
    }
    this.scale = document.createElement("span");
    caption.append(this.legend, this.scale);
    return caption;
  }

  toolbar() {
    const bar = document.createElement("div");
    bar.className = "corner";
    const group = (...members) => {
      const element = document.createElement("div");
      element.className = "joined";
      element.append(...members);
      bar.append(element);
    };
    const button = (content, label, act) => {
      const element = document.createElement("button");
      element.type = "button";
      if (content in ICONS) setIcon(element, content);
      else element.textContent = content;
      element.title = label;
      element.setAttribute("aria-label", label);
      element.addEventListener("click", act);
      return element;
    };
    this.kinds = new Map(this.groups.map(([{ group }]) => {
      const [name, label] = group === "body" ? ["Body", "The fitted body"] : ["Skeleton", "The 3D skeleton"];
      return [group, button(name, label, () => this.state.choose(this.state.person, this.state.joint, group))];
    }));
    if (this.groups.length > 1) group(...this.kinds.values());
    this.fixed = Object.fromEntries(["front", "side", "top"].map((name, i) =>
      [name, button(name[0].toUpperCase() + name.slice(1), `From the ${name} (${i + 1})`, () => this.goTo(FIXED[name]))]));
    group(...Object.values(this.fixed));
    group(button("−", "Farther (-)", () => this.zoom(0.8)), button("+", "Nearer (+)", () => this.zoom(1.25)),
      button("reset", "Reset the view (0)", () => this.goTo(HOME)));
    const up = (this.up = document.createElement("select"));
    up.setAttribute("aria-label", "Which axis points up");
    for (const name of Object.keys(UPS)) up.append(new Option(name, name, false, name === this.view.up));
    up.addEventListener("change", () => {
      this.view.setUp(up.value);
      this.draw();
    });
    bar.append(up);
    return bar;
  }

  /** Says on the buttons what is on show, and which of the fixed views, if any. */
  mark() {
    for (const [name, button] of this.kinds) button.setAttribute("aria-pressed", String(this.tracks[0].group === name));
    for (const [name, button] of Object.entries(this.fixed)) {
      const there = ["yaw", "pitch"].every((key) => Math.abs(this.view[key] - FIXED[name][key]) < 1e-6);
      button.setAttribute("aria-pressed", String(there));
    }
  }
}

/** The side of a bone: that of the end which has one; between left and right lies the middle. */
function between(one, other) {
  if (one === "mid") return other;
  return other === "mid" || one === other ? one : "mid";
}

/** "left", "right" or "mid", by the joint's name. */
function sideOf(name) {
  return /^(left|right)(?=_)/.exec(name)?.[0] ?? "mid";
}
