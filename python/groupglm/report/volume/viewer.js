// SPDX-License-Identifier: BSD-3-Clause
// Three planes of a map over a picture. Everything is looked up by place in mm, through the affine
// of each volume, so that any grid (flipped, oblique, anisotropic) is drawn where it lies.
"use strict";
(async () => {
  const SCALE = 2; // pixels a mm
  const IN_PLANE = { x: [1, 2], y: [0, 2], z: [0, 1] };
  const canvases = [...document.querySelectorAll(".planes canvas")];

  if (typeof DecompressionStream === "undefined") {
    byId("viewer-readout").textContent =
      "This browser is too old for the viewer; the pictures above are complete.";
    return;
  }
  const picture = json("viewer-background");
  picture.values = await unpack(picture.data, Uint8Array);
  const colours = Uint8Array.from(atob(picture.colours), (letter) => letter.charCodeAt(0));
  const place = [0, 0, 0];

  // Voxel indices, not rounded, of a place in mm.
  function indices(volume, p) {
    return volume.inverse.map((r) => r[0] * p[0] + r[1] * p[1] + r[2] * p[2] + r[3]);
  }

  function indexOf(volume, i, j, k) {
    const [nx, ny, nz] = volume.shape;
    const a = Math.floor(i + 0.5), b = Math.floor(j + 0.5), c = Math.floor(k + 0.5);
    if (a < 0 || b < 0 || c < 0 || a >= nx || b >= ny || c >= nz) return -1;
    return a + nx * (b + ny * c);
  }

  function nearest(volume, i, j, k, outside) {
    const index = indexOf(volume, i, j, k);
    return index < 0 ? outside : volume.values[index];
  }

  function linear(volume, i, j, k) {
    const a = Math.floor(i), b = Math.floor(j), c = Math.floor(k);
    const u = i - a, v = j - b, w = k - c;
    let sum = 0;
    for (let corner = 0; corner < 8; corner++) {
      const [da, db, dc] = [corner & 1, (corner >> 1) & 1, corner >> 2];
      const weight = (da ? u : 1 - u) * (db ? v : 1 - v) * (dc ? w : 1 - w);
      if (weight) sum += weight * nearest(volume, a + da, b + db, c + dc, 0);
    }
    return sum;
  }

  class VolumeViewer extends MapViewer {
    // Voxels that share a face.
    neighboursOf(at) {
      const [nx, ny, nz] = this.map.shape;
      const i = at % nx, j = Math.floor(at / nx) % ny, k = Math.floor(at / (nx * ny));
      const found = [];
      if (i > 0) found.push(at - 1);
      if (i < nx - 1) found.push(at + 1);
      if (j > 0) found.push(at - nx);
      if (j < ny - 1) found.push(at + nx);
      if (k > 0) found.push(at - nx * ny);
      if (k < nz - 1) found.push(at + nx * ny);
      return found;
    }

    sizeOf(members) {
      return members.length;
    }

    smallInWords(size, at) {
      const voxels = `${size} voxel${size > 1 ? "s" : ""}`;
      return `in a cluster of ${voxels}, fewer than ${this.extentInWords(at)}`;
    }

    placeInWords() {
      const where = place.map((value) => signed(value.toFixed(1))).join(", ");
      const index = indexOf(this.map, ...indices(this.map, place));
      return `(${where}) mm: ${this.inWords(index)}`;
    }

    draw() {
      canvases.forEach((canvas) => this.drawPlane(canvas));
    }

    drawPlane(canvas) {
      const { map, state } = this;
      const axis = canvas.dataset.axis;
      const [first, second] = IN_PLANE[axis];
      const { width, height } = canvas;
      const context = canvas.getContext("2d");
      const image = context.createImageData(width, height);
      const p = [...place];
      // Along a row of pixels the indices grow by the same step.
      const across = (volume) => volume.inverse.map((r) => r[first] / SCALE);
      const [stepBack, stepMap] = [across(picture), across(map)];
      for (let row = 0; row < height; row++) {
        p[first] = picture.low[first] + 0.5 / SCALE;
        p[second] = picture.high[second] - (row + 0.5) / SCALE;
        const back = indices(picture, p), over = indices(map, p);
        for (let column = 0; column < width; column++) {
          const at = 4 * (row * width + column);
          const index = indexOf(map, over[0], over[1], over[2]);
          if (index >= 0 && state[index] === MapViewer.SHOWN) {
            const entry = this.entryOf(map.values[index]);
            for (let part = 0; part < 3; part++) image.data[at + part] = colours[3 * entry + part];
          } else {
            const shade = picture.smooth
              ? linear(picture, back[0], back[1], back[2])
              : nearest(picture, back[0], back[1], back[2], 0);
            image.data.fill(shade, at, at + 3);
          }
          image.data[at + 3] = 255;
          for (let part = 0; part < 3; part++) {
            back[part] += stepBack[part];
            over[part] += stepMap[part];
          }
        }
      }
      context.putImageData(image, 0, 0);
      drawLines(context, axis, first, second, width, height);
    }

    moveTo(target) {
      for (let axis = 0; axis < 3; axis++) {
        place[axis] = Math.max(picture.low[axis], Math.min(picture.high[axis], target[axis]));
      }
      this.refresh();
    }

    toPeak() {
      this.moveTo(this.map.peak);
    }

    moveOf(number, row) {
      const target = [...row.cells].slice(1, 4).map((item) => Number(item.textContent));
      return () => this.moveTo(target);
    }

    focus() {
      canvases[0].focus({ preventScroll: true });
    }
  }

  function drawLines(context, axis, first, second, width, height) {
    const across = (place[first] - picture.low[first]) * SCALE;
    const down = (picture.high[second] - place[second]) * SCALE;
    context.strokeStyle = "rgba(120, 230, 140, 0.8)";
    context.lineWidth = 1;
    context.beginPath();
    for (const [x0, y0, x1, y1] of [
      [across, 0, across, down - 8], [across, down + 8, across, height],
      [0, down, across - 8, down], [across + 8, down, width, down],
    ]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
    context.fillStyle = "#f0f0f0";
    context.font = "22px system-ui, sans-serif";
    context.fillText(`${axis} = ${place["xyz".indexOf(axis)].toFixed(0)}`, 8, height - 10);
    if (axis !== "x") {
      context.fillText("L", 8, 26);
      context.fillText("R", width - 24, 26);
    }
  }

  const viewer = new VolumeViewer();
  for (const canvas of canvases) {
    const [first, second] = IN_PLANE[canvas.dataset.axis];
    const through = "xyz".indexOf(canvas.dataset.axis);
    canvas.width = Math.round((picture.high[first] - picture.low[first]) * SCALE);
    canvas.height = Math.round((picture.high[second] - picture.low[second]) * SCALE);
    canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    canvas.style.flexGrow = String(canvas.width);
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      const target = [...place];
      const span = (axis) => picture.high[axis] - picture.low[axis];
      target[first] = picture.low[first] + ((event.clientX - box.left) / box.width) * span(first);
      target[second] = picture.high[second] - ((event.clientY - box.top) / box.height) * span(second);
      viewer.moveTo(target);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      follow(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) follow(event);
    });
    canvas.addEventListener("keydown", (event) => {
      const moves = {
        ArrowLeft: [first, -1], ArrowRight: [first, 1], ArrowDown: [second, -1],
        ArrowUp: [second, 1], PageDown: [through, -1], PageUp: [through, 1],
      };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      const target = [...place];
      target[move[0]] += move[1] * Math.min(...viewer.map.edges);
      viewer.moveTo(target);
    });
  }
  await viewer.start();
})();
