// Raster: triangles with a depth buffer, in plain numbers: canvases have none, and not every browser may use WebGL.

const MOST_PIXELS = 1.5e6; // that are filled for one picture; beyond it a picture gets coarser

/** Fills triangles into a buffer of its own, that is then drawn on a canvas; twice as fine, so that edges are smooth. */
class Raster {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d");
  }

  /**
   * Draws surfaces [{points, colours, alpha, faces}] on `pen`, whose canvas is width x height, at `ratio` pixels each.
   * `points` (V x 3): across, down, and what grows towards the viewer evenly on the screen (the inverse of depth); not
   * above 0: behind the viewer. `colours` (V x 3) 0..255. Triangles that turn their back are left out.
   */
  draw(pen, surfaces, width, height, ratio) {
    const box = boxOf(surfaces, width, height);
    if (!box) return;
    const [left, top, right, bottom] = box;
    const fine = Math.min(2 * ratio, Math.sqrt(MOST_PIXELS / ((right - left) * (bottom - top))));
    const [columns, rows] = [Math.max(Math.ceil((right - left) * fine), 1), Math.max(Math.ceil((bottom - top) * fine), 1)];
    const size = columns * rows;
    if (!(this.depth?.length >= size)) this.depth = new Float32Array(size);
    const depth = this.depth.fill(0, 0, size);
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (const surface of surfaces) fill(surface, left, top, fine, columns, rows, depth, pixels);
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
    }
    this.pen.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(this.canvas, left, top, columns / fine, rows / fine);
  }
}

/** [left, top, right, bottom] of what is in the picture, in whole pixels; null if nothing is. */
function boxOf(surfaces, width, height) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (const { points } of surfaces) {
    for (let i = 0; i < points.length; i += 3) {
      if (!(points[i + 2] > 0)) continue;
      if (points[i] < left) left = points[i];
      if (points[i] > right) right = points[i];
      if (points[i + 1] < top) top = points[i + 1];
      if (points[i + 1] > bottom) bottom = points[i + 1];
    }
  }
  left = Math.max(Math.floor(left) - 1, 0);
  top = Math.max(Math.floor(top) - 1, 0);
  right = Math.min(Math.ceil(right) + 1, width);
  bottom = Math.min(Math.ceil(bottom) + 1, height);
  return left < right && top < bottom ? [left, top, right, bottom] : null;
}

/** Fills the pixels whose middles lie in a triangle, where nothing nearer is there; colours change evenly in between. */
function fill({ points, colours, alpha, faces }, left, top, fine, columns, rows, depth, pixels) {
  const opaque = (Math.round(255 * alpha) << 24) >>> 0;
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const [az, bz, cz] = [points[a + 2], points[b + 2], points[c + 2]];
    if (!(az > 0 && bz > 0 && cz > 0)) continue;
    const ax = (points[a] - left) * fine - 0.5; // the middle of a pixel is at a whole number
    const ay = (points[a + 1] - top) * fine - 0.5;
    const bx = (points[b] - left) * fine - 0.5;
    const by = (points[b + 1] - top) * fine - 0.5;
    const cx = (points[c] - left) * fine - 0.5;
    const cy = (points[c + 1] - top) * fine - 0.5;
    const area = (by - ay) * (cx - ax) - (bx - ax) * (cy - ay); // above 0: counter-clockwise to the eye
    if (!(area > 0)) continue;
    const x0 = Math.max(Math.ceil(Math.min(ax, bx, cx)), 0);
    const x1 = Math.min(Math.floor(Math.max(ax, bx, cx)), columns - 1);
    const y0 = Math.max(Math.ceil(Math.min(ay, by, cy)), 0);
    const y1 = Math.min(Math.floor(Math.max(ay, by, cy)), rows - 1);
    if (x0 > x1 || y0 > y1) continue;
    // The share of each corner grows by a constant from pixel to pixel, and with it depth and colours.
    const [bAcross, bDown] = [(ay - cy) / area, (cx - ax) / area];
    const [cAcross, cDown] = [(by - ay) / area, (ax - bx) / area];
    for (let y = y0; y <= y1; y++) {
      let shareB = bAcross * (x0 - ax) + bDown * (y - ay);
      let shareC = cAcross * (x0 - ax) + cDown * (y - ay);
      for (let x = x0, at = y * columns + x0; x <= x1; x++, at++, shareB += bAcross, shareC += cAcross) {
        const shareA = 1 - shareB - shareC;
        if (shareA < -1e-9 || shareB < -1e-9 || shareC < -1e-9) continue; // on an edge: no crack between neighbours
        const near = shareA * az + shareB * bz + shareC * cz;
        if (near <= depth[at]) continue;
        depth[at] = near;
        const red = shareA * colours[a] + shareB * colours[b] + shareC * colours[c];
        const green = shareA * colours[a + 1] + shareB * colours[b + 1] + shareC * colours[c + 1];
        const blue = shareA * colours[a + 2] + shareB * colours[b + 2] + shareC * colours[c + 2];
        pixels[at] = opaque | (blue << 16) | (green << 8) | red;
      }
    }
  }
}
