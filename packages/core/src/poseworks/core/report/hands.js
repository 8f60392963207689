// Hands: what turns, moves and zooms the view of a stage: mouse, touch, keys and buttons.

const TURN = 0.008; // radians a pixel
const NEAREST = 12;
const FARTHEST = 0.2;
const KEYS = { 0: "reset", 1: "front", 2: "side", 3: "top", "+": 1.25, "=": 1.25, "-": 0.8 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** A stage whose view can be turned. What draws it says on its buttons, in `mark`, which view is on show. */
class TurnedStage extends Stage {
  /** Changes the view at once, by hand. */
  change(values) {
    this.going = null;
    Object.assign(this.view, values);
    this.mark();
    this.draw();
  }

  turn(yaw, pitch) {
    const { view } = this;
    this.change({ yaw: view.yaw + yaw, pitch: Math.min(Math.max(view.pitch + pitch, -Math.PI / 2), Math.PI / 2) });
  }

  move(right, down) {
    const height = this.box.clientHeight;
    this.change({ panX: this.view.panX + right / height, panY: this.view.panY + down / height });
  }

  /** Nearer by a factor; what lies at (x, y) of the canvas stays there. */
  zoom(factor, x = this.view.halfWidth, y = this.view.halfHeight) {
    const { view } = this;
    const magnify = Math.min(Math.max(view.magnify * factor, FARTHEST), NEAREST);
    const height = this.box.clientHeight;
    const keep = 1 - magnify / view.magnify;
    this.change({
      magnify,
      panX: view.panX + ((x - view.halfWidth) * keep) / height,
      panY: view.panY + ((y - view.halfHeight) * keep) / height,
    });
  }

  /** To a view by the shorter way round, in a fifth of a second. */
  goTo(goal) {
    const from = Object.fromEntries(Object.keys(HOME).map((key) => [key, this.view[key]]));
    const round = 2 * Math.PI;
    from.yaw = goal.yaw + (((from.yaw - goal.yaw + Math.PI) % round) + round) % round - Math.PI;
    const going = (this.going = {});
    const lasting = window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 200;
    const started = performance.now();
    const step = (now) => {
      if (this.going !== going) return;
      const share = lasting ? Math.min(Math.max(now - started, 0) / lasting, 1) : 1;
      const eased = share * share * (3 - 2 * share);
      for (const key of Object.keys(HOME)) this.view[key] = share < 1 ? from[key] + (goal[key] - from[key]) * eased : goal[key];
      this.mark();
      this.draw();
      if (share < 1) requestAnimationFrame(step);
      else this.going = null;
    };
    step(started);
  }

  /** Whether a key meant this view. */
  press(key) {
    const action = KEYS[key];
    if (action === undefined) return false;
    if (typeof action === "number") this.zoom(action);
    else this.goTo(FIXED[action] ?? HOME);
    return true;
  }

  listen() {
    const { canvas, fingers } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.dragged = fingers.size > 0;
      fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
    canvas.addEventListener("mousedown", (event) => event.preventDefault()); // the focus, and the arrow keys, stay
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.goTo(HOME));
    canvas.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.shiftKey) this.move(20 * arrow[0], 20 * arrow[1]);
      else this.turn(-0.1 * arrow[0], 0.1 * arrow[1]);
      event.preventDefault();
      event.stopPropagation();
    });
    let scrolled = -Infinity; // a wheel that is scrolling the page goes on doing so over the picture
    window.addEventListener("scroll", () => (scrolled = performance.now()), { passive: true });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && performance.now() - scrolled < 250) return;
      event.preventDefault();
      const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
      this.zoom(Math.exp(-Math.min(Math.max(pixels, -200), 200) * (event.ctrlKey ? 0.01 : 0.0018)), event.offsetX, event.offsetY);
    }, { passive: false });
  }

  /** One finger or the mouse turns, with shift or another button it moves; two fingers move and zoom. */
  drag(event) {
    const { fingers } = this;
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const at = [event.offsetX, event.offsetY];
    const [dx, dy] = [at[0] - last[0], at[1] - last[1]];
    if (fingers.size === 1 && !this.dragged && Math.hypot(dx, dy) < 3) return;
    this.dragged = true;
    fingers.set(event.pointerId, at);
    if (fingers.size === 1) {
      if (event.shiftKey || event.buttons & 6) this.move(dx, dy);
      else this.turn(-dx * TURN, dy * TURN);
      return;
    }
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    this.move(dx / 2, dy / 2);
    const [before, after] = [last, at].map(([x, y]) => Math.max(Math.hypot(x - other[0], y - other[1]), 1));
    this.zoom(after / before, (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
  }
}
