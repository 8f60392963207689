// Skins: bodies lit and filled, with their shadows, in space and over the video; and what the page lets one choose.

const LIGHT = [-0.42, 0.72, 0.55]; // towards it, in the viewer's axes: right, up, near
const SIDES_OVER_VIDEO = ["#8d6ff0", "#ff5c78", "#9a9da3"];
const SIDE_SHARE = 0.6; // of the colour of its side in an arm or a leg

/** What a body looks like from where `view` stands: {points, colours, faces} for a raster; null if nobody is there. */
function surfaceOf(view, track, person, frame, colours) {
  const vertices = track.vertices(person, frame);
  if (!vertices) return null;
  const { V, faces } = track.mesh;
  const eye = new Float32Array(3 * V); // right, up, near
  const points = new Float32Array(3 * V);
  view.see(vertices, eye, points);
  const normals = normalsOf(eye, faces);
  const lit = new Float32Array(3 * V);
  const sides = colours.left ? track.sides : null;
  for (let v = 0; v < V; v++) {
    const [x, y, z] = [normals[3 * v], normals[3 * v + 1], normals[3 * v + 2]];
    const facing = Math.max(x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2], 0);
    const shine = 0.16 * Math.max(0.35 * x * LIGHT[0] + 0.6 * y + 0.75 * z, 0) ** 24;
    const light = 0.62 + 0.08 * y + 0.34 * facing;
    const share = sides ? SIDE_SHARE * Math.abs(sides[v]) : 0;
    const side = sides && (sides[v] > 0 ? colours.left : colours.right);
    for (let d = 0; d < 3; d++) {
      const own = share ? colours.base[d] * (1 - share) + side[d] * share : colours.base[d];
      lit[3 * v + d] = Math.min(Math.max(own * light + 255 * shine, 0), 255);
    }
  }
  return { points, colours: lit, faces };
}

/** (V x 3) unit normals, of the triangles around each vertex, weighted by area. */
function normalsOf(eye, faces) {
  const normals = new Float32Array(eye.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const [ux, uy, uz] = [eye[b] - eye[a], eye[b + 1] - eye[a + 1], eye[b + 2] - eye[a + 2]];
    const [vx, vy, vz] = [eye[c] - eye[a], eye[c + 1] - eye[a + 1], eye[c + 2] - eye[a + 2]];
    const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) {
      normals[corner] += x;
      normals[corner + 1] += y;
      normals[corner + 2] += z;
    }
  }
  for (let i = 0; i < normals.length; i += 3) {
    const length = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
    for (let d = 0; d < 3; d++) normals[i + d] /= length;
  }
  return normals;
}

/** Draws the skins of `bodies` [{track, person, frame, alpha}] on a stage; what is nearer hides what is behind it. */
function drawSkins(stage, bodies) {
  const { pen, view, box, state } = stage;
  const surfaces = [];
  for (const { track, person, frame, alpha } of bodies) {
    const surface = surfaceOf(view, track, person, frame, skinColours(track, stage.overVideo, state.sides));
    if (surface) surfaces.push({ ...surface, alpha });
  }
  if (!surfaces.length) return;
  stage.raster ??= new Raster();
  stage.raster.draw(pen, surfaces, box.clientWidth, box.clientHeight, Math.min(window.devicePixelRatio || 1, 2));
}

/** A track's colour as it is under the lamp, lighter; or, with `sides`, grey with the colours of left and right. */
function skinColours(track, overVideo, sides) {
  const mixed = (text, share) => numbersOf(text).map((value) => value * (1 - share) + 255 * share);
  if (!sides) return { base: mixed(colourOf(track, overVideo), 0.5) };
  const [left, right, mid] = overVideo ? SIDES_OVER_VIDEO : ["--left", "--right", "--mid"].map(cssValue);
  return { base: mixed(mid, 0.72), left: mixed(left, 0.4), right: mixed(right, 0.4) };
}

/** [red, green, blue] of "#rrggbb". */
function numbersOf(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

/** The shadow straight down on the ground: what of the coarse surface looks upwards covers the same place. */
function drawSkinShadow(pen, view, track, person, frame) {
  const vertices = track.vertices(person, frame);
  if (!vertices) return;
  const { coarse } = track.mesh;
  const count = 1 + coarse.reduce((most, each) => Math.max(most, each), 0);
  const flat = new Float32Array(3 * count);
  const out = new Float32Array(2 * count);
  for (let v = 0; v < count; v++) {
    const [x, , z] = view.turned(vertices, 3 * v);
    flat[3 * v] = x;
    flat[3 * v + 2] = z;
    view.project([x, view.ground, z], out, 2 * v);
  }
  pen.fillStyle = cssValue("--shade");
  pen.beginPath(); // one path, all wound alike: where triangles overlap it grows no darker
  for (let f = 0; f < coarse.length; f += 3) {
    const [a, b, c] = [coarse[f], coarse[f + 1], coarse[f + 2]];
    const upwards = (flat[3 * b + 2] - flat[3 * a + 2]) * (flat[3 * c] - flat[3 * a]) -
      (flat[3 * b] - flat[3 * a]) * (flat[3 * c + 2] - flat[3 * a + 2]);
    if (upwards <= 0) continue;
    pen.moveTo(out[2 * a], out[2 * a + 1]);
    pen.lineTo(out[2 * b], out[2 * b + 1]);
    pen.lineTo(out[2 * c], out[2 * c + 1]);
  }
  pen.fill();
}

/** The controls of bodies, hidden where there are none: what of them is drawn, and whether over the video. */
function addBodyControls(state, stages) {
  const bodies = state.tracks.filter((track) => track.group === "body");
  const redraw = () => stages.forEach((stage) => stage.draw());
  $("body-field").hidden = !bodies.length;
  $("body").addEventListener("change", () => {
    state.body = $("body").value;
    redraw();
  });
  $("over-field").hidden = !stages.some((stage) => stage instanceof ImageStage && stage.bodies.length);
  $("over").addEventListener("change", () => {
    state.over = $("over").checked;
    redraw();
  });
}
