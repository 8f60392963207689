// Bodies: tracks with a skin. Joints and vertices follow from the rotations, as SMPL's paper has it (equations 2 to 4).

const BODY_JOINTS = 24;

/** What all bodies share: V vertices with four joints and weights each, triangles, and coarse ones on the first. */
class Mesh {
  constructor(facts) {
    this.V = facts.vertices;
    this.parents = facts.parents;
    this.faces = new Uint16Array(takeBytes(facts.faces).buffer);
    this.coarse = new Uint16Array(takeBytes(facts.coarse).buffer);
    this.skinJoints = takeBytes(facts.skinJoints);
    this.skinWeights = Float32Array.from(new Uint16Array(takeBytes(facts.skinWeights).buffer), (each) => each / 65535);
  }
}

/** Rotation matrices, row by row, from axis-angle in radians. */
function rotationOf(x, y, z, out, to) {
  const angle = Math.hypot(x, y, z);
  const near = angle < 1e-6;
  const a = near ? 1 - angle ** 2 / 6 : Math.sin(angle) / angle;
  const b = near ? 0.5 : (1 - Math.cos(angle)) / angle ** 2;
  out[to] = 1 - b * (y * y + z * z);
  out[to + 1] = b * x * y - a * z;
  out[to + 2] = b * x * z + a * y;
  out[to + 3] = b * x * y + a * z;
  out[to + 4] = 1 - b * (x * x + z * z);
  out[to + 5] = b * y * z - a * x;
  out[to + 6] = b * x * z - a * y;
  out[to + 7] = b * y * z + a * x;
  out[to + 8] = 1 - b * (x * x + y * y);
}

/** A track whose joints are a body's 24, in metres, and that has a skin: see `vertices`. */
class BodyTrack extends Track {
  constructor(facts, number, mesh) {
    super({ ...facts, mesh }, number);
    this.group = "body";
    this.camera = this.focal ? { focal: this.focal, wide: this.imageSize?.[0] } : null;
    this.usualUp = this.frame === "world" ? "y up" : "y down";
    this.skinned = new Map(); // the last vertices of each person
  }

  /** Positions of the joints in every frame. */
  read(facts) {
    this.pose = readNumbers(facts.pose, 3);
    this.transl = readNumbers(facts.transl, 3);
    this.rest = readNumbers(facts.rest, 3); // (P, V, 3)
    this.restJoints = readNumbers(facts.restJoints, 3); // (P, 24, 3)
    this.turns = new Float32Array(9 * BODY_JOINTS); // of one person in one frame: of each joint in the motion's axes
    const positions = new Float32Array(this.P * this.T * BODY_JOINTS * 3);
    for (let person = 0; person < this.P; person++) {
      for (let t = 0; t < this.T; t++) this.chain(person, t, positions, this.at(person, t, 0));
    }
    return positions;
  }

  rounding(facts) {
    const [angle, place] = [facts.pose, facts.transl].map(({ step }) => Math.max(...(step ?? [0])) / 2);
    return angle || place ? `±${angle.toPrecision(2)} rad and ±${place.toPrecision(2)} m` : "";
  }

  /** Writes `turns`, and the 24 joints into `out`; NaN where the person is not there. */
  chain(person, frame, out, to) {
    const { turns, restJoints, mesh: { parents } } = this;
    const moment = person * this.T + frame;
    const rest = person * BODY_JOINTS * 3;
    const local = new Float32Array(9);
    for (let j = 0; j < BODY_JOINTS; j++) {
      const pose = (moment * BODY_JOINTS + j) * 3;
      const parent = parents[j];
      rotationOf(this.pose[pose], this.pose[pose + 1], this.pose[pose + 2], local, 0);
      if (parent < 0) {
        turns.set(local, 0);
        for (let d = 0; d < 3; d++) out[to + d] = restJoints[rest + d] + this.transl[3 * moment + d];
        continue;
      }
      const at = rest + 3 * j;
      const from = rest + 3 * parent;
      for (let row = 0; row < 3; row++) {
        const turn = 9 * parent + 3 * row;
        const [a, b, c] = [turns[turn], turns[turn + 1], turns[turn + 2]];
        for (let column = 0; column < 3; column++) {
          turns[9 * j + 3 * row + column] = a * local[column] + b * local[3 + column] + c * local[6 + column];
        }
        out[to + 3 * j + row] = out[to + 3 * parent + row] + a * (restJoints[at] - restJoints[from]) +
          b * (restJoints[at + 1] - restJoints[from + 1]) + c * (restJoints[at + 2] - restJoints[from + 2]);
      }
    }
  }

  /** (V x 3) of the skin in the motion's axes; null where the person is not there. */
  vertices(person, frame) {
    const kept = this.skinned.get(person);
    if (kept?.frame === frame) return kept.vertices;
    const joints = new Float32Array(BODY_JOINTS * 3);
    this.chain(person, frame, joints, 0);
    if (Number.isNaN(joints[0])) return null;
    const { turns, restJoints, rest, mesh: { V, skinJoints, skinWeights } } = this;
    const moves = new Float32Array(12 * BODY_JOINTS); // a rotation and a shift each, from the rest pose
    for (let j = 0; j < BODY_JOINTS; j++) {
      const from = (person * BODY_JOINTS + j) * 3;
      for (let row = 0; row < 3; row++) {
        const turn = 9 * j + 3 * row;
        for (let d = 0; d < 3; d++) moves[12 * j + 4 * row + d] = turns[turn + d];
        moves[12 * j + 4 * row + 3] = joints[3 * j + row] - turns[turn] * restJoints[from] -
          turns[turn + 1] * restJoints[from + 1] - turns[turn + 2] * restJoints[from + 2];
      }
    }
    const vertices = kept?.vertices ?? new Float32Array(3 * V);
    for (let v = 0; v < V; v++) {
      const from = (person * V + v) * 3;
      const [x, y, z] = [rest[from], rest[from + 1], rest[from + 2]];
      let [a, b, c] = [0, 0, 0];
      for (let k = 4 * v; k < 4 * v + 4; k++) {
        const weight = skinWeights[k];
        if (!weight) continue;
        const m = 12 * skinJoints[k];
        a += weight * (moves[m] * x + moves[m + 1] * y + moves[m + 2] * z + moves[m + 3]);
        b += weight * (moves[m + 4] * x + moves[m + 5] * y + moves[m + 6] * z + moves[m + 7]);
        c += weight * (moves[m + 8] * x + moves[m + 9] * y + moves[m + 10] * z + moves[m + 11]);
      }
      vertices[3 * v] = a;
      vertices[3 * v + 1] = b;
      vertices[3 * v + 2] = c;
    }
    this.skinned.set(person, { frame, vertices });
    return vertices;
  }

  /** How far the soles lie below the lowest joint, at rest. */
  get sole() {
    const lowest = (values) => {
      let low = Infinity;
      for (let i = 1; i < values.length; i += 3) low = Math.min(low, values[i]);
      return low;
    };
    return (this.height ??= lowest(this.restJoints) - lowest(this.rest));
  }

  /** (V): of which side each vertex is: 1 left, -1 right, 0 the middle. */
  get sides() {
    if (this.sideOfVertices) return this.sideOfVertices;
    const { V, skinJoints, skinWeights } = this.mesh;
    const signs = this.joints.map((name) => ({ left: 1, right: -1, mid: 0 })[sideOf(name)]);
    this.sideOfVertices = new Float32Array(V);
    for (let k = 0; k < 4 * V; k++) this.sideOfVertices[k >> 2] += skinWeights[k] * signs[skinJoints[k]];
    return this.sideOfVertices;
  }
}
