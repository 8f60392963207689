// Stage: one picture of the player. What 2D and 3D share is here, with the 2D one, which lies over the video.

/** Joints whose trails can be drawn together; "joint" is the chosen one. */
const TRAILS = {
  joint: { label: "this joint" },
  limbs: { label: "hands and feet", joints: ["left_wrist", "right_wrist", "left_ankle", "right_ankle"] },
  wrists: { label: "wrists", joints: ["left_wrist", "right_wrist"] },
  ankles: { label: "ankles", joints: ["left_ankle", "right_ankle"] },
  pelvis: { label: "pelvis", joints: ["pelvis", "mid_hip", "upper_pelvis"] },
};
const FADES = 8; // steps in which a trail fades

class Stage {
  /** `state` is shared by the page: {clock, person, people, joint, follow, trail, reach, sides}. */
  constructor(tracks, state, view) {
    this.tracks = tracks;
    this.state = state;
    this.view = view;
    this.box = document.createElement("div");
    this.box.className = "stage";
    this.canvas = document.createElement("canvas");
    this.box.append(this.canvas);
    this.pen = this.canvas.getContext("2d");
    this.addPicking();
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  get labels() {
    return this.tracks.map((track) => track.label).join(" and ");
  }

  get overVideo() {
    return false;
  }

  /** Frame of a track at the moment on show: other tracks may have other rates than the one that leads. */
  frameOf(track) {
    const { clock } = this.state;
    if (track === clock.track || clock.frame < 0) return clock.frame;
    return track.frameAt(clock.track.times[clock.frame]);
  }

  draw() {
    const width = this.box.clientWidth;
    const height = this.box.clientHeight;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (!width || !height) return;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.clearRect(0, 0, width, height);
    this.view.aim(width, height, this.followed());
    const shown = this.tracks.filter((track) => track.shown);
    this.drawScene(shown, width, height);
    if (this.state.people > 1) this.drawNames(shown);
  }

  followed() {
    const { follow, person } = this.state;
    const track = this.tracks.find((each) => each.bold) ?? this.tracks[0];
    return follow && track && person < track.P ? { track, person, frame: this.frameOf(track) } : null;
  }

  /** Line width that suits the person's size on the canvas. */
  weight(track, person, frame) {
    const { low, high, empty } = track.bounds(person, frame);
    if (empty) return 3;
    const size = Math.max(...low.map((value, d) => high[d] - value)) * this.view.scale;
    return Math.min(Math.max(size / 90, 1.6), 5);
  }

  /** Canvas places (J x 2), how much larger each is drawn (J) and opacities (J, 0 where unseen) of one person. */
  places(track, person, frame) {
    const points = new Float32Array(track.J * 2);
    const nearer = new Float32Array(track.J);
    const alphas = new Float32Array(track.J);
    const dimmed = this.state.people > 1 && person !== this.state.person ? 0.45 : 1;
    for (let j = 0; j < track.J; j++) {
      if (Number.isNaN(track.positions[track.at(person, frame, j)])) continue;
      nearer[j] = this.view.place(track, person, frame, j, points, 2 * j);
      const sure = track.confidence ? track.confidence[(person * track.T + frame) * track.J + j] / 255 : 1;
      alphas[j] = dimmed * (0.5 + 0.5 * sure);
    }
    return { points, nearer, alphas };
  }

  /** A ring around the joint whose curves are shown. */
  drawChosen(track, person, { points, alphas }) {
    const chosen = track.joints.indexOf(this.state.joint);
    if (person !== this.state.person || chosen < 0 || !alphas[chosen] || !track.bold) return;
    this.pen.strokeStyle = this.overVideo ? "#fff" : cssValue("--ink");
    this.pen.lineWidth = 1.5;
    this.pen.beginPath();
    this.pen.arc(points[2 * chosen], points[2 * chosen + 1], 9, 0, 2 * Math.PI);
    this.pen.stroke();
  }

  /** Each person's number over the head, once, from the track that is drawn last. */
  drawNames(shown) {
    const { pen } = this;
    pen.font = "600 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let person = 0; person < this.state.people; person++) {
      const there = (each) => person < each.P && this.frameOf(each) >= 0 && !each.bounds(person, this.frameOf(each)).empty;
      const track = shown.filter(there).pop();
      if (!track) continue;
      const { points, alphas } = this.places(track, person, this.frameOf(track));
      let top = -1;
      for (let j = 0; j < track.J; j++) if (alphas[j] && (top < 0 || points[2 * j + 1] < points[2 * top + 1])) top = j;
      const name = track.personName(person);
      const half = pen.measureText(name).width / 2 + 7;
      const x = Math.min(Math.max(points[2 * top], half + 2), this.box.clientWidth - half - 2);
      const y = Math.min(Math.max(points[2 * top + 1] - 24, 12), this.box.clientHeight - 12);
      const chosen = person === this.state.person;
      pen.globalAlpha = chosen ? 1 : 0.75;
      pen.fillStyle = chosen ? cssValue("--accent") : "#33363a";
      pen.beginPath();
      pen.roundRect(x - half, y - 10, 2 * half, 20, 10);
      pen.fill();
      pen.fillStyle = chosen ? cssValue("--accent-ink") : "#ffffff";
      pen.fillText(name, x, y + 0.5);
    }
    pen.globalAlpha = 1;
  }

  /** The ways of the chosen person's joints, if seen now, to this frame; of a single joint also what comes, fainter. */
  drawTrails(shown) {
    const { trail, person, joint, reach } = this.state;
    if (!trail) return;
    const single = trail === "joint";
    const wanted = single ? [joint] : TRAILS[trail].joints;
    for (const track of shown.filter((each) => person < each.P && (single || each.bold))) {
      const now = this.frameOf(track);
      if (now < 0) continue;
      const frames = reach ? Math.max(Math.round(reach * track.fps), 2) : track.T;
      for (const j of wanted.map((name) => track.joints.indexOf(name)).filter((index) => index >= 0)) {
        if (Number.isNaN(track.positions[track.at(person, now, j)])) continue;
        this.pen.strokeStyle = this.colourOfJoint(track, j);
        this.pen.lineWidth = track.bold ? 2.4 : 1.4;
        this.pen.lineJoin = "round";
        this.pen.lineCap = "butt"; // the parts of a trail would overlap, and show where they meet
        for (let part = 0; part < FADES; part++) {
          const [from, to] = [part, part + 1].map((each) => Math.round(now - frames * (1 - each / FADES)));
          this.strokePath(track, person, j, from, to, 0.12 + (0.78 * (part + 1)) / FADES);
        }
        if (single) this.strokePath(track, person, j, now, now + frames, 0.35);
      }
    }
    this.pen.globalAlpha = 1;
  }

  colourOfJoint(track) {
    return colourOf(track, this.overVideo);
  }

  /** A joint's way between two frames, broken where it was not seen. */
  strokePath(track, person, joint, first, last, alpha) {
    const [from, to] = [Math.max(first, 0), Math.min(last, track.T - 1)];
    if (from >= to) return;
    const step = Math.ceil((to - from) / MOST_POINTS);
    const place = new Float32Array(2);
    let down = false;
    this.pen.globalAlpha = alpha;
    this.pen.beginPath();
    for (let t = from; t <= to; t = t < to ? Math.min(t + step, to) : to + 1) {
      if (Number.isNaN(track.positions[track.at(person, t, joint)])) {
        down = false;
        continue;
      }
      this.view.place(track, person, t, joint, place, 0);
      if (down) this.pen.lineTo(place[0], place[1]);
      else this.pen.moveTo(place[0], place[1]);
      down = true;
    }
    this.pen.stroke();
  }

  /** The joint nearest to a click becomes the chosen one. */
  addPicking() {
    this.canvas.addEventListener("click", (event) => {
      if (this.dragged) return;
      let best = { distance: 22 };
      for (const track of this.tracks.filter((each) => each.shown)) {
        const frame = this.frameOf(track);
        for (let person = 0; person < track.P && frame >= 0; person++) {
          const { points, alphas } = this.places(track, person, frame);
          for (let j = 0; j < track.J; j++) {
            const distance = Math.hypot(points[2 * j] - event.offsetX, points[2 * j + 1] - event.offsetY);
            if (alphas[j] && distance < best.distance) best = { distance, person, joint: track.joints[j], group: track.group };
          }
        }
      }
      if (best.joint) this.state.choose(best.person, best.joint, best.group);
    });
  }
}

/** 2D tracks, and bodies that a known camera saw, over the video or on a plain ground; else the video alone. */
class ImageStage extends Stage {
  constructor(tracks, bodies, state, video) {
    super(tracks, state, new ImageView(tracks, bodies, video));
    this.bodies = bodies;
    this.video = video;
    if (video) this.box.prepend(video);
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.describe());
    this.size();
  }

  describe() {
    const ground = this.video ? "over the video" : "on a plain ground";
    if (this.tracks.length) return `Skeletons, ${this.labels}, ${ground}. Click a joint to see its curves.`;
    return this.bodies.length ? `Bodies ${ground}` : "Video";
  }

  /** Zoomed in, no wider than a cinema's screen. */
  get aspect() {
    return this.state.follow ? Math.min(this.view.aspect, 1.78) : this.view.aspect;
  }

  /** As wide as the page, but never taller than two thirds of the window; `fill`: as large as the place it is given. */
  size(fill = false) {
    this.box.style.aspectRatio = fill ? "auto" : String(this.aspect);
    this.box.style.width = fill ? "auto" : `min(100%, ${(66 * this.aspect).toFixed(2)}vh)`;
  }

  get overVideo() {
    return Boolean(this.video) && !this.video.hidden;
  }

  drawScene(shown) {
    if (this.video) {
      const { zoom } = this.view;
      this.video.style.transform = zoom ? `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.scale})` : "";
    }
    this.drawBodies();
    this.drawTrails(shown);
    for (const track of shown) for (let p = 0; p < track.P; p++) this.drawPerson(track, p);
  }

  /** Bodies where their camera saw them, so that what they stand on shines through. */
  drawBodies() {
    const { pen, view } = this;
    if (!this.state.over || !this.bodies.length) return;
    pen.save();
    pen.beginPath(); // nobody is seen beside the picture
    pen.rect(view.left * view.scale + view.shiftX, view.top * view.scale + view.shiftY, view.width * view.scale, view.height * view.scale);
    pen.clip();
    for (const track of this.bodies.filter((each) => each.shown)) {
      const frame = this.frameOf(track);
      if (frame < 0) continue;
      view.lookThrough(track.camera);
      const alpha = (person) => (this.state.people > 1 && person !== this.state.person ? 0.45 : 0.75);
      drawSkins(this, Array.from({ length: track.P }, (_, person) => ({ track, person, frame, alpha: alpha(person) })));
    }
    pen.restore();
  }

  drawPerson(track, person) {
    const frame = this.frameOf(track);
    if (frame < 0) return;
    const places = this.places(track, person, frame);
    const colour = colourOf(track, this.overVideo);
    const weight = this.weight(track, person, frame);
    drawSkeleton(this.pen, places.points, places.alphas, track, colour, weight, this.overVideo);
    this.drawChosen(track, person, places);
  }
}

function cssValue(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
