// Stage: one picture of the player, a canvas over the video (2D) or over a plain ground (2D or 3D).

class Stage {
  /** `state` is shared by the page: {clock, person, joint, follow, trail, tracks}. */
  constructor(tracks, state, video) {
    this.tracks = tracks;
    this.state = state;
    this.video = video;
    this.is3d = tracks[0].D === 3;
    this.view = this.is3d ? new SpaceView(tracks) : new ImageView(tracks, video);
    this.box = document.createElement("div");
    this.box.className = this.is3d ? "stage space" : "stage";
    if (video) this.box.append(video);
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.describe());
    this.box.append(this.canvas);
    this.pen = this.canvas.getContext("2d");
    this.size();
    if (this.is3d) this.addOrbit();
    this.addPicking();
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  describe() {
    const labels = this.tracks.map((track) => track.label).join(" and ");
    const ground = this.video ? "over the video" : "on a plain ground";
    return `Skeletons, ${labels}, ${this.is3d ? "in 3D; drag to turn" : ground}. Click a joint to see its curves.`;
  }

  /** As wide as the page, but never taller than two thirds of the window; zoomed in, no wider than a cinema's screen. */
  size() {
    if (this.is3d) return;
    const aspect = this.state.follow ? Math.min(this.view.aspect, 1.78) : this.view.aspect;
    this.box.style.aspectRatio = String(aspect);
    this.box.style.width = `min(100%, ${(66 * aspect).toFixed(2)}vh)`;
  }

  get overVideo() {
    return Boolean(this.video) && !this.video.hidden;
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
    const pen = this.pen;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.view.aim(width, height, this.followed());
    this.moveVideo();
    if (this.is3d) this.view.drawGround(pen, cssValue("--grid"));
    const shown = this.tracks.filter((track) => track.shown);
    if (this.state.trail) for (const track of shown) this.drawTrail(track);
    for (const track of shown) for (let p = 0; p < track.P; p++) this.drawPerson(track, p);
    if (this.state.people > 1) this.drawNames(shown);
  }

  followed() {
    const { follow, person } = this.state;
    const track = this.tracks.find((each) => each.bold) ?? this.tracks[0];
    return follow && person < track.P ? { track, person, frame: this.frameOf(track) } : null;
  }

  moveVideo() {
    if (!this.video) return;
    const { zoom } = this.view;
    this.video.style.transform = zoom ? `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.scale})` : "";
  }

  /** Line width that suits the person's size on the canvas. */
  weight(track, person, frame) {
    const { low, high, empty } = track.bounds(person, frame);
    if (empty) return 3;
    const size = Math.max(...low.map((value, d) => high[d] - value)) * this.view.scale;
    return Math.min(Math.max(size / 90, 1.6), 5);
  }

  /** Canvas places (J x 2) and opacities (J, 0 where unseen) of one person. */
  places(track, person, frame) {
    const points = new Float32Array(track.J * 2);
    const alphas = new Float32Array(track.J);
    const dimmed = this.state.people > 1 && person !== this.state.person ? 0.45 : 1;
    for (let j = 0; j < track.J; j++) {
      const at = track.at(person, frame, j);
      if (Number.isNaN(track.positions[at])) continue;
      this.view.place(track.positions, at, points, 2 * j);
      const sure = track.confidence ? track.confidence[(person * track.T + frame) * track.J + j] / 255 : 1;
      alphas[j] = dimmed * (0.5 + 0.5 * sure);
    }
    return { points, alphas };
  }

  drawPerson(track, person) {
    const frame = this.frameOf(track);
    if (frame < 0) return;
    const { points, alphas } = this.places(track, person, frame);
    const colour = colourOf(track, this.overVideo);
    drawSkeleton(this.pen, points, alphas, track, colour, this.weight(track, person, frame), this.overVideo);
    const chosen = track.joints.indexOf(this.state.joint);
    if (person === this.state.person && chosen >= 0 && alphas[chosen] && track.bold) {
      this.pen.strokeStyle = this.overVideo ? "#fff" : cssValue("--ink");
      this.pen.lineWidth = 1.5;
      this.pen.beginPath();
      this.pen.arc(points[2 * chosen], points[2 * chosen + 1], 9, 0, 2 * Math.PI);
      this.pen.stroke();
    }
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

  /** The chosen joint's path over the second around this frame; what is to come is fainter. */
  drawTrail(track) {
    const joint = track.joints.indexOf(this.state.joint);
    const now = this.frameOf(track);
    const { person } = this.state;
    if (joint < 0 || now < 0 || person >= track.P) return;
    if (Number.isNaN(track.positions[track.at(person, now, joint)])) return;
    const reach = Math.max(Math.round(track.fps / 2), 2);
    const place = new Float32Array(2);
    const stretch = (from, to, alpha) => {
      this.pen.globalAlpha = alpha;
      this.pen.beginPath();
      let down = false;
      for (let t = Math.max(from, 0); t <= Math.min(to, track.T - 1); t++) {
        const at = track.at(person, t, joint);
        if (Number.isNaN(track.positions[at])) {
          down = false;
          continue;
        }
        this.view.place(track.positions, at, place, 0);
        if (down) this.pen.lineTo(place[0], place[1]);
        else this.pen.moveTo(place[0], place[1]);
        down = true;
      }
      this.pen.stroke();
    };
    this.pen.strokeStyle = colourOf(track, this.overVideo);
    this.pen.lineWidth = track.bold ? 2.4 : 1.4;
    stretch(now - reach, now, 0.9);
    stretch(now, now + reach, 0.4);
    this.pen.globalAlpha = 1;
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
            if (alphas[j] && distance < best.distance) best = { distance, person, joint: track.joints[j] };
          }
        }
      }
      if (best.joint) this.state.choose(best.person, best.joint);
    });
  }

  /** Drag turns the view; buttons (and ctrl + wheel) bring it nearer; a list says which way is up. */
  addOrbit() {
    const { canvas, view } = this;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY];
      this.dragged = false;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      if (Math.abs(dx) + Math.abs(dy) > 2) this.dragged = true;
      last = [event.clientX, event.clientY];
      view.yaw -= dx * 0.008;
      view.pitch = Math.min(Math.max(view.pitch + dy * 0.008, -1.5), 1.5);
      this.draw();
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (last = null));
    const magnify = (factor) => {
      view.magnify = Math.min(Math.max(view.magnify * factor, 0.2), 12);
      this.draw();
    };
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      magnify(Math.exp(-event.deltaY * 0.003));
    }, { passive: false });
    this.box.append(this.orbitButtons(magnify));
  }

  orbitButtons(magnify) {
    const corner = document.createElement("div");
    corner.className = "corner";
    const up = document.createElement("select");
    up.setAttribute("aria-label", "Which axis points up");
    for (const name of Object.keys(UPS)) up.append(new Option(name, name, false, name === this.view.up));
    up.addEventListener("change", () => {
      this.view.setUp(up.value);
      this.draw();
    });
    corner.append(up);
    for (const [sign, label, factor] of [["−", "Farther", 1 / 1.25], ["+", "Nearer", 1.25]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => magnify(factor));
      corner.append(button);
    }
    return corner;
  }
}

function cssValue(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
