// SPDX-License-Identifier: BSD-3-Clause
// Three planes of a map over a picture. Everything is looked up by place in mm, through the affine
// of each volume, so that any grid (flipped, oblique, anisotropic) is drawn where it lies.
"use strict";
(async () => {
  const SCALE = 2; // pixels a mm
  const IN_PLANE = { x: [1, 2], y: [0, 2], z: [0, 1] };
  const byId = (id) => document.getElementById(id);
  const json = (id) => JSON.parse(byId(id).textContent);
  const canvases = [...document.querySelectorAll(".planes canvas")];
  const readout = byId("viewer-readout");

  async function unpack(text, Kind) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Kind(await new Response(stream).arrayBuffer());
  }

  if (typeof DecompressionStream === "undefined") {
    readout.textContent = "This browser is too old for the viewer; the pictures above are complete.";
    return;
  }
  const picture = json("viewer-background");
  picture.values = await unpack(picture.data, Uint8Array);
  const colours = Uint8Array.from(atob(picture.colours), (letter) => letter.charCodeAt(0));
  const maps = new Map();
  const place = [0, 0, 0];
  let map = null;
  let limit = 0;
  let state = null; // of each voxel of the map: beyond the limit, and in a cluster large enough?
  const SHOWN = 1, SMALL = 2;

  async function load(number) {
    if (!maps.has(number)) {
      let found = json(`viewer-map-${number}`);
      if ("values_of" in found) found = { ...(await load(found.values_of)), ...found };
      else found.values = await unpack(found.data, Int16Array);
      maps.set(number, found);
    }
    return maps.get(number);
  }

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

  function numberOf(stored) {
    return Math.abs(stored) === map.infinite ? Math.sign(stored) * Infinity : stored * map.step;
  }

  const sideOf = (stored) => {
    if (stored === map.outside) return 0;
    const value = numberOf(stored);
    if ((map.signed ? Math.abs(value) : map.side * value) <= limit) return 0;
    return value > 0 ? 1 : -1;
  };

  // Clusters of voxels that share a face, of one sign, as in the table: the small ones are left out.
  function sift() {
    const [nx, ny, nz] = map.shape;
    state = new Uint8Array(map.values.length);
    map.sizes = new Map(); // of the clusters that are left out, by their voxels
    const members = [];
    for (let start = 0; start < state.length; start++) {
      const side = state[start] ? 0 : sideOf(map.values[start]);
      if (!side) continue;
      members.length = 0;
      members.push(start);
      state[start] = SHOWN;
      if (map.extent < 2) continue;
      for (let next = 0; next < members.length; next++) {
        const at = members[next];
        const i = at % nx, j = Math.floor(at / nx) % ny, k = Math.floor(at / (nx * ny));
        for (const [inside, other] of [
          [i > 0, at - 1], [i < nx - 1, at + 1], [j > 0, at - nx], [j < ny - 1, at + nx],
          [k > 0, at - nx * ny], [k < nz - 1, at + nx * ny],
        ]) {
          if (!inside || state[other] || sideOf(map.values[other]) !== side) continue;
          state[other] = SHOWN;
          members.push(other);
        }
      }
      if (members.length >= map.extent) continue;
      for (const at of members) {
        state[at] = SMALL;
        map.sizes.set(at, members.length);
      }
    }
  }

  function draw(canvas) {
    const axis = canvas.dataset.axis;
    const [first, second] = IN_PLANE[axis];
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const p = [...place];
    const half = map.largest || 1;
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
        if (index >= 0 && state[index] === SHOWN) {
          const z = map.values[index] * map.step;
          const entry = Math.round(127.5 * (1 + Math.max(-1, Math.min(1, z / half))));
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

  // As p is written elsewhere on the page.
  const asP = (logp) => {
    const p = 10 ** -logp;
    return p < 0.0005 ? String(Number(p.toPrecision(2))) : p.toFixed(3);
  };

  function tell() {
    const where = place.map((value) => value.toFixed(1).replace("-", "−")).join(", ");
    const index = indexOf(map, ...indices(map, place));
    let what = "outside the mask, or without a statistic";
    if (index >= 0 && map.values[index] !== map.outside) {
      const value = numberOf(map.values[index]);
      if (map.unit === "p") {
        const side = state[index] ? "below" : "not below";
        what = `corrected p = ${asP(value)}, ${side} the limit`;
      } else {
        const past = map.side < 0 ? "below" : "above";
        const side = state[index] ? past : `not ${past}`;
        what = `z = ${value.toFixed(2).replace("-", "−").replace("Infinity", "∞")}, ${side} the threshold`;
      }
      if (state[index] === SMALL) {
        const size = map.sizes.get(index);
        what += `, in a cluster of ${size} voxel${size > 1 ? "s" : ""}, fewer than ${map.extent}`;
      }
    }
    readout.textContent = `(${where}) mm: ${what}`;
    byId("viewer-limit").textContent = map.unit === "p"
      ? `p < ${asP(limit)}`
      : map.side < 0 ? `z < −${limit.toFixed(2)}` : `${map.signed ? "|z|" : "z"} > ${limit.toFixed(2)}`;
  }

  let waiting = false;
  function refresh() {
    tell();
    if (waiting) return;
    waiting = true; // at most one drawing a frame, however fast the pointer moves
    requestAnimationFrame(() => {
      waiting = false;
      canvases.forEach(draw);
    });
  }

  function moveTo(target) {
    for (let axis = 0; axis < 3; axis++) {
      place[axis] = Math.max(picture.low[axis], Math.min(picture.high[axis], target[axis]));
    }
    refresh();
  }

  async function choose(number) {
    map = await load(Number(number));
    byId("viewer-map").value = String(number);
    const slider = byId("viewer-threshold");
    slider.max = String(Math.max(map.largest, map.threshold));
    slider.value = String(map.threshold);
    limit = map.threshold;
    sift();
    moveTo(map.peak);
  }

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
      moveTo(target);
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
      target[move[0]] += move[1] * Math.min(...map.edges);
      moveTo(target);
    });
  }

  byId("viewer-map").addEventListener("change", (event) => choose(event.target.value));
  byId("viewer-threshold").addEventListener("input", (event) => {
    limit = Number(event.target.value);
    sift();
    refresh();
  });
  byId("viewer-peak").addEventListener("click", () => moveTo(map.peak));

  async function show(number, target) {
    if (map !== (await load(Number(number)))) await choose(number);
    if (target) moveTo(target);
    byId("viewer").scrollIntoView();
    canvases[0].focus({ preventScroll: true });
  }
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => show(button.dataset.view, null));
  }
  // A cluster's number leads to its peak in the viewer.
  for (const table of document.querySelectorAll("table[data-map]")) {
    for (const row of table.tBodies[0].rows) {
      const [cell, x, y, z] = row.cells;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.title = "Show in the viewer";
      const target = [x, y, z].map((item) => Number(item.textContent));
      button.addEventListener("click", () => show(table.dataset.map, target));
      cell.replaceChildren(button);
    }
  }
  await choose(0);
})();
