// SPDX-License-Identifier: BSD-3-Clause
// A hemisphere on a canvas: its mesh, unpacked, and how it is turned, drawn and pointed at.
"use strict";
const CLOSEST = 12; // how many times larger a hemisphere is drawn at most
const WIDTH = 2048; // of the textures that hold numbers of faces and vertices

const VERTEX = `#version 300 es
  precision highp float;
  precision highp int;
  uniform highp isampler2D faces;
  uniform highp sampler2D places; // and how bright each vertex is
  uniform highp sampler2D normals;
  uniform mat3 turn;
  uniform vec3 middle;
  uniform vec3 scale;
  uniform vec2 shift;
  flat out ivec3 corners;
  out vec3 part;
  out vec3 normal;
  out float shade;
  ivec2 at(int number) { return ivec2(number % ${WIDTH}, number / ${WIDTH}); }
  void main() {
    int corner = gl_VertexID % 3;
    corners = texelFetch(faces, at(gl_VertexID / 3), 0).xyz;
    int vertex = corner == 0 ? corners.x : corner == 1 ? corners.y : corners.z;
    part = vec3(corner == 0, corner == 1, corner == 2);
    vec4 place = texelFetch(places, at(vertex), 0);
    shade = place.w;
    normal = turn * texelFetch(normals, at(vertex), 0).xyz;
    gl_Position = vec4((turn * (place.xyz - middle)) * scale + vec3(shift, 0.0), 1.0);
  }`;
const FRAGMENT = `#version 300 es
  precision highp float;
  precision highp int;
  uniform lowp sampler2D colours;
  uniform vec3 lamp;
  uniform float darkest;
  flat in ivec3 corners;
  in vec3 part;
  in vec3 normal;
  in float shade;
  out vec4 colour;
  void main() {
    int vertex = part.x >= part.y && part.x >= part.z ? corners.x
      : part.y >= part.z ? corners.y : corners.z;
    vec4 own = texelFetch(colours, ivec2(vertex % ${WIDTH}, vertex / ${WIDTH}), 0);
    vec3 facing = normalize(normal) * (normal.z < 0.0 ? -1.0 : 1.0);
    float grey = shade * (darkest + (1.0 - darkest) * clamp(dot(facing, lamp), 0.0, 1.0));
    colour = vec4(own.a > 0.5 ? own.rgb : vec3(grey), 1.0);
  }`;

// What points to the right of the picture, up in it, and to the viewer.
const SIDES = {
  right: [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
  left: [[0, -1, 0], [0, 0, 1], [-1, 0, 0]],
  dorsal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  ventral: [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
  anterior: [[-1, 0, 0], [0, 0, 1], [0, 1, 0]],
  posterior: [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
};
const viewOf = (name, side) =>
  SIDES[{ lateral: side, medial: side === "left" ? "right" : "left" }[name] || name];

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

// Steps from one number to the next, each the smaller bytes of all first: small steps are packed
// well. Even numbers are steps up, odd ones are steps down.
function numbersOf(bytes, n, width, first) {
  const found = new Int32Array(n);
  let sum = 0;
  for (let place = 0; place < n; place++) {
    let step = 0;
    for (let byte = 0; byte < width; byte++) step += bytes[first + byte * n + place] * 256 ** byte;
    sum += step % 2 ? -(step + 1) / 2 : step / 2;
    found[place] = sum;
  }
  return found;
}

async function meshOf(own) {
  const mesh = { ...own, n: own.n_vertices, m: own.n_faces };
  const places = await unpack(own.places, Uint8Array);
  const faces = await unpack(own.faces, Uint8Array);
  mesh.shades = await unpack(own.shades, Uint8Array);
  mesh.areas = own.areas ? await unpack(own.areas, Float32Array) : null;
  mesh.places = new Float32Array(3 * mesh.n);
  for (let axis = 0; axis < 3; axis++) {
    const numbers = numbersOf(places, mesh.n, 2, 2 * axis * mesh.n);
    for (let vertex = 0; vertex < mesh.n; vertex++) {
      mesh.places[3 * vertex + axis] = own.corner[axis] + own.step * numbers[vertex];
    }
  }
  // The second and third corners are stored by how far they are from the first.
  mesh.faces = new Int32Array(3 * mesh.m);
  for (let corner = 0; corner < 3; corner++) {
    const start = 3 * corner * mesh.m;
    const steps = numbersOf(faces, mesh.m, 3, start);
    for (let face = 0; face < mesh.m; face++) {
      mesh.faces[3 * face + corner] = steps[face] + (corner ? mesh.faces[3 * face] : 0);
    }
  }
  mesh.normals = normalsOf(mesh);
  const low = [0, 1, 2].map((axis) => extreme(mesh, axis, Math.min));
  const high = [0, 1, 2].map((axis) => extreme(mesh, axis, Math.max));
  mesh.middle = low.map((value, axis) => (value + high[axis]) / 2);
  mesh.reach = 1.02 * reachOf(mesh);
  return mesh;
}

function extreme(mesh, axis, most) {
  let found = mesh.places[axis];
  for (let at = axis; at < mesh.places.length; at += 3) found = most(found, mesh.places[at]);
  return found;
}

// How far a vertex is from the middle at most: whichever way it is turned, the mesh is seen whole.
function reachOf({ places, middle }) {
  let found = 1e-9;
  for (let at = 0; at < places.length; at += 3) {
    found = Math.max(found, Math.hypot(...middle.map((value, axis) => places[at + axis] - value)));
  }
  return found;
}

function normalsOf({ n, m, faces, places }) {
  const normals = new Float32Array(3 * n);
  for (let face = 0; face < m; face++) {
    const [a, b, c] = [0, 1, 2].map((corner) => 3 * faces[3 * face + corner]);
    const u = [0, 1, 2].map((axis) => places[b + axis] - places[a + axis]);
    const v = [0, 1, 2].map((axis) => places[c + axis] - places[a + axis]);
    const own = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const at of [a, b, c]) for (let axis = 0; axis < 3; axis++) normals[at + axis] += own[axis];
  }
  for (let at = 0; at < 3 * n; at += 3) {
    const length = Math.hypot(normals[at], normals[at + 1], normals[at + 2]) || 1;
    for (let axis = 0; axis < 3; axis++) normals[at + axis] /= length;
  }
  return normals;
}

// The vertices that share an edge with each vertex: their starts, and all of them.
function neighboursIn({ n, m, faces }) {
  const found = Array.from({ length: n }, () => new Set());
  for (let face = 0; face < m; face++) {
    const own = [faces[3 * face], faces[3 * face + 1], faces[3 * face + 2]];
    for (const one of own) for (const other of own) if (one !== other) found[one].add(other);
  }
  return found;
}

// A hemisphere on its canvas.
class Hemisphere {
  constructor(canvas, mesh, first, light) {
    Object.assign(this, { canvas, mesh, first, side: mesh.side, projected: null });
    this.ring = canvas.parentElement.querySelector(".ring");
    const gl = canvas.getContext("webgl2", { antialias: true });
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      throw new Error(gl.getProgramInfoLog(program) || "no program");
    }
    gl.useProgram(program);
    this.uniform = (name) => gl.getUniformLocation(program, name);
    const { n, m, faces, places, shades, normals } = mesh;
    const four = (values, last, Kind, n_rows) => {
      const found = new Kind(4 * WIDTH * n_rows);
      for (let place = 0; place < values.length / 3; place++) {
        for (let part = 0; part < 3; part++) found[4 * place + part] = values[3 * place + part];
        found[4 * place + 3] = last ? last[place] / 255 : 0;
      }
      return found;
    };
    const rows = (count) => Math.max(1, Math.ceil(count / WIDTH));
    this.texture(0, "faces", gl.RGBA32I, gl.RGBA_INTEGER, gl.INT, rows(m),
      four(faces, null, Int32Array, rows(m)));
    this.texture(1, "places", gl.RGBA32F, gl.RGBA, gl.FLOAT, rows(n),
      four(places, shades, Float32Array, rows(n)));
    this.texture(2, "normals", gl.RGBA32F, gl.RGBA, gl.FLOAT, rows(n),
      four(normals, null, Float32Array, rows(n)));
    this.colours = new Uint8Array(4 * WIDTH * rows(n));
    this.texture(3, "colours", gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, rows(n), this.colours);
    gl.uniform3fv(this.uniform("lamp"), light.lamp);
    gl.uniform1f(this.uniform("darkest"), light.darkest);
    gl.uniform3fv(this.uniform("middle"), mesh.middle);
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 1);
    this.whole();
  }

  texture(unit, name, inner, form, type, height, values) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, inner, WIDTH, height, 0, form, type, values);
    gl.uniform1i(this.uniform(name), unit);
  }

  face(name) {
    this.turn = viewOf(name, this.side).map((row) => [...row]);
    this.shift = [0, 0];
    this.projected = null;
  }

  // All of it, from the side.
  whole() {
    this.zoom = 1;
    this.face("lateral");
  }

  // Draw it larger by a factor; what is at a place of the picture stays there.
  zoomBy(factor, [x, y] = [0, 0]) {
    const before = this.zoom;
    this.zoom = Math.min(Math.max(before * factor, 1), CLOSEST);
    const own = this.zoom / before;
    this.shift = this.zoom === 1 ? [0, 0]
      : [x - own * (x - this.shift[0]), y - own * (y - this.shift[1])];
    this.projected = null;
  }

  // Bring a vertex into the picture, if it lies beside it.
  bring(vertex) {
    const [x, y] = this.project().slice(3 * vertex, 3 * vertex + 2);
    if (Math.abs(x) < 0.95 && Math.abs(y) < 0.95) return;
    this.shift = [this.shift[0] - x, this.shift[1] - y];
    this.projected = null;
  }

  // Turn by angles about the picture's upright and level axis.
  turnBy(across, up) {
    const [right, top, near] = this.turn;
    const mix = (a, b, angle) => [
      a.map((value, axis) => value * Math.cos(angle) + b[axis] * Math.sin(angle)),
      b.map((value, axis) => value * Math.cos(angle) - a[axis] * Math.sin(angle)),
    ];
    const [newRight, halfNear] = mix(right, near, across);
    const [newTop, newNear] = mix(top, halfNear, up);
    this.turn = [newRight, newTop, newNear];
    this.projected = null;
  }

  // Right, up and toward the viewer of all vertices, in units of half the shorter edge.
  project() {
    if (this.projected) return this.projected;
    const { n, places, middle, reach } = this.mesh;
    const found = new Float32Array(3 * n);
    const own = [0, 0, 0];
    const scale = [this.zoom / reach, this.zoom / reach, 1 / reach];
    const shift = [...this.shift, 0];
    for (let at = 0; at < 3 * n; at += 3) {
      for (let axis = 0; axis < 3; axis++) own[axis] = places[at + axis] - middle[axis];
      for (let row = 0; row < 3; row++) {
        found[at + row] = dot(this.turn[row], own) * scale[row] + shift[row];
      }
    }
    this.projected = found;
    return found;
  }

  // The vertex nearest to what is in front at a place of the picture; -1 if nothing is.
  pick(x, y) {
    const { m, faces } = this.mesh;
    const p = this.project();
    let depth = -Infinity, found = -1;
    for (let at = 0; at < 3 * m; at += 3) {
      const a = 3 * faces[at], b = 3 * faces[at + 1], c = 3 * faces[at + 2];
      const ax = p[a] - x, ay = p[a + 1] - y, bx = p[b] - x, by = p[b + 1] - y;
      const cx = p[c] - x, cy = p[c + 1] - y;
      const u = bx * cy - by * cx, v = cx * ay - cy * ax, w = ax * by - ay * bx;
      if ((u < 0 || v < 0 || w < 0) && (u > 0 || v > 0 || w > 0)) continue;
      const whole = u + v + w;
      if (!whole) continue;
      const near = (u * p[a + 2] + v * p[b + 2] + w * p[c + 2]) / whole;
      if (near <= depth) continue;
      depth = near;
      const [r, s, t] = [u / whole, v / whole, w / whole];
      found = r >= s && r >= t ? a / 3 : s >= t ? b / 3 : c / 3;
    }
    return found;
  }

  // From pixels of the window to a place of the picture, and back.
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const half = Math.min(box.width, box.height) / 2;
    return [
      (event.clientX - box.left - box.width / 2) / half,
      (box.top + box.height / 2 - event.clientY) / half,
    ];
  }

  mark(vertex) {
    this.ring.hidden = true;
    if (vertex < 0) return;
    const p = this.project();
    const { clientWidth: width, clientHeight: height, offsetLeft, offsetTop } = this.canvas;
    const half = Math.min(width, height) / 2;
    const [right, down] = [width / 2 + p[3 * vertex] * half, height / 2 - p[3 * vertex + 1] * half];
    if (right < 0 || right > width || down < 0 || down > height || !this.sees(vertex)) return;
    this.ring.hidden = false;
    this.ring.style.left = `${offsetLeft + right}px`;
    this.ring.style.top = `${offsetTop + down}px`;
  }

  // Whether a vertex is in front: what is there is it, or a vertex beside it.
  sees(vertex) {
    const p = this.project();
    const found = this.pick(p[3 * vertex], p[3 * vertex + 1]);
    if (found < 0) return true; // on the outline
    return p[3 * found + 2] - p[3 * vertex + 2] < 0.03;
  }

  draw(colourOf) {
    const { gl, canvas, mesh } = this;
    const size = Math.round(canvas.clientWidth * Math.min(devicePixelRatio || 1, 2));
    const height = Math.round((size * canvas.clientHeight) / canvas.clientWidth);
    if (canvas.width !== size || canvas.height !== height) {
      canvas.width = size;
      canvas.height = height;
    }
    gl.viewport(0, 0, canvas.width, canvas.height);
    for (let vertex = 0; vertex < mesh.n; vertex++) {
      const colour = colourOf(this.first + vertex);
      for (let part = 0; part < 3; part++) this.colours[4 * vertex + part] = colour ? colour[part] : 0;
      this.colours[4 * vertex + 3] = colour ? 255 : 0;
    }
    gl.activeTexture(gl.TEXTURE3);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, WIDTH, this.colours.length / 4 / WIDTH, gl.RGBA,
      gl.UNSIGNED_BYTE, this.colours);
    // WebGL takes matrices column by column.
    gl.uniformMatrix3fv(this.uniform("turn"), true, this.turn.flat());
    const half = Math.min(canvas.width, canvas.height);
    const [wide, high] = [half / canvas.width, half / canvas.height];
    gl.uniform3f(this.uniform("scale"), (this.zoom * wide) / mesh.reach,
      (this.zoom * high) / mesh.reach, -1 / mesh.reach);
    gl.uniform2f(this.uniform("shift"), this.shift[0] * wide, this.shift[1] * high);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.drawArrays(gl.TRIANGLES, 0, 3 * mesh.m);
  }
}
