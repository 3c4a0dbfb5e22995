// SPDX-License-Identifier: BSD-3-Clause
// Hemispheres that can be turned, with a map on them. A point shows the value of the vertex nearest
// to it; nothing is interpolated.
"use strict";
(async () => {
  const readout = byId("viewer-readout");
  const canvases = [...document.querySelectorAll(".hemispheres canvas")];

  class SurfaceViewer extends MapViewer {
    constructor(hemispheres, colours, unit) {
      super();
      Object.assign(this, { hemispheres, colours, unit, place: null, over: null });
    }

    ownOf(at) {
      return this.hemispheres.findLast((one) => one.first <= at);
    }

    neighboursOf(at) {
      const { mesh, first } = this.ownOf(at);
      mesh.neighbours ||= neighboursIn(mesh);
      return [...mesh.neighbours[at - first]].map((vertex) => first + vertex);
    }

    sizeOf(members) {
      let sum = 0;
      for (const at of members) {
        const { mesh, first } = this.ownOf(at);
        sum += mesh.areas ? mesh.areas[at - first] : 1;
      }
      return sum;
    }

    extentOf(at) {
      const { extent, extents } = this.map;
      return extents ? extents[this.hemispheres.indexOf(this.ownOf(at))] : extent;
    }

    smallInWords(size, at) {
      const text = this.unit === "mm2" ? `${size.toFixed(1)} mm²` : `${size} ${this.unit}`;
      return `in a cluster of ${text}, less than ${this.extentInWords(at)}`;
    }

    placeInWords() {
      const at = this.over ?? this.place;
      if (at === null) return "Positions are in mm: move over a hemisphere to read a value.";
      const { mesh, first, side } = this.ownOf(at);
      const vertex = at - first;
      const where = [0, 1, 2].map((axis) => signed(mesh.places[3 * vertex + axis].toFixed(1)));
      return `vertex ${vertex}, ${side}, (${where.join(", ")}) mm: ${this.inWords(at)}`;
    }

    draw() {
      const { map, state, colours } = this;
      const colourOf = (at) => {
        if (state[at] !== MapViewer.SHOWN) return null;
        const entry = 3 * this.entryOf(map.values[at]);
        return [colours[entry], colours[entry + 1], colours[entry + 2]];
      };
      for (const one of this.hemispheres) {
        one.draw(colourOf);
        const own = this.place !== null && this.ownOf(this.place) === one;
        one.mark(own ? this.place - one.first : -1);
      }
    }

    // Mark a place, and turn its hemisphere so that it is seen.
    moveTo(place) {
      this.over = null;
      this.place = place;
      if (place !== null) {
        const one = this.ownOf(place);
        const vertex = place - one.first;
        if (!one.sees(vertex)) {
          const normal = [...one.mesh.normals.slice(3 * vertex, 3 * vertex + 3)];
          const views = ["lateral", "medial", ...Object.keys(SIDES).slice(2)];
          const facing = (name) => dot(viewOf(name, one.side)[2], normal);
          one.face(views.reduce((best, name) => (facing(name) > facing(best) + 0.2 ? name : best)));
        }
        one.bring(vertex);
      }
      this.refresh();
    }

    toPeak() {
      this.moveTo(this.map.peak);
    }

    moveOf(number, row, place) {
      const target = json(`viewer-map-${number}`).rows[place];
      return target === null || target === undefined ? null : () => this.moveTo(target);
    }

    focus() {
      const one = this.place === null ? this.hemispheres[0] : this.ownOf(this.place);
      one.canvas.focus({ preventScroll: true });
    }
  }

  // Without WebGL 2: the pictures of each contrast, chosen as the viewer's maps are.
  function showStills(reason) {
    const some = document.querySelector("#map-0 img") !== null;
    const why = reason + (some ? ": these are the still pictures." : ".");
    for (const part of document.querySelectorAll("#viewer .needs-webgl")) part.hidden = true;
    readout.textContent = why;
    const still = byId("viewer-still");
    still.hidden = false;
    const show = (number) => {
      const found = document.querySelector(`#map-${number} img`);
      still.replaceChildren(...(found ? [found.cloneNode()] : []));
    };
    const choice = byId("viewer-map");
    choice.addEventListener("change", () => show(choice.value));
    for (const button of document.querySelectorAll("[data-view]")) {
      button.addEventListener("click", () => {
        choice.value = button.dataset.view;
        show(choice.value);
        byId("viewer").scrollIntoView();
      });
    }
    show(0);
  }

  if (typeof DecompressionStream === "undefined") {
    showStills("This browser is too old for the viewer");
    return;
  }
  if (!document.createElement("canvas").getContext("webgl2")) {
    showStills("This browser offers no WebGL 2 to turn the surfaces");
    return;
  }
  const scene = json("viewer-background");
  const hemispheres = [];
  let first = 0;
  try {
    for (const [place, own] of scene.hemispheres.entries()) {
      hemispheres.push(new Hemisphere(canvases[place], await meshOf(own), first, scene.light));
      first += own.n_vertices;
    }
  } catch (error) {
    showStills(`The surfaces cannot be drawn here (${error.message})`);
    return;
  }
  const colours = Uint8Array.from(atob(scene.colours), (letter) => letter.charCodeAt(0));
  const viewer = new SurfaceViewer(hemispheres, colours, scene.unit);

  for (const one of hemispheres) {
    const { canvas } = one;
    let last = null, moved = false;
    const fingers = new Map(); // where each pointer is that is down
    const spread = () => {
      const [a, b] = [...fingers.values()];
      const middle = { clientX: (a[0] + b[0]) / 2, clientY: (a[1] + b[1]) / 2 };
      return { distance: Math.hypot(a[0] - b[0], a[1] - b[1]), place: one.placeOf(middle) };
    };
    const overOf = (event) => {
      const vertex = one.pick(...one.placeOf(event));
      return vertex < 0 ? null : one.first + vertex;
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      [last, moved] = [[event.clientX, event.clientY], fingers.size > 1];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons || !last) {
        viewer.over = overOf(event);
        viewer.refresh();
        return;
      }
      if (fingers.size === 2) {
        const before = spread();
        fingers.set(event.pointerId, [event.clientX, event.clientY]);
        const after = spread();
        one.zoomBy(after.distance / Math.max(before.distance, 1), after.place);
        [moved, viewer.over] = [true, null];
        viewer.refresh();
        return;
      }
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      if (!moved && Math.hypot(dx, dy) < 4) return; // a click that trembles
      const radius = (one.zoom * Math.min(canvas.clientWidth, canvas.clientHeight)) / 2;
      one.turnBy(dx / radius, -dy / radius);
      [last, moved, viewer.over] = [[event.clientX, event.clientY], true, null];
      viewer.refresh();
    });
    canvas.addEventListener("pointercancel", (event) => {
      fingers.delete(event.pointerId);
      last = null;
    });
    canvas.addEventListener("pointerup", (event) => {
      fingers.delete(event.pointerId);
      const place = moved ? null : overOf(event);
      last = null;
      if (place === null) return;
      viewer.place = place;
      viewer.refresh();
    });
    canvas.addEventListener("pointerleave", () => {
      viewer.over = null;
      viewer.refresh();
    });
    canvas.addEventListener("keydown", (event) => {
      const turns = {
        ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15],
      };
      const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
      if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own zoom
      if (turns[event.key]) one.turnBy(...turns[event.key].map((angle) => angle / one.zoom));
      else if (zooms[event.key]) one.zoomBy(zooms[event.key]);
      else if (event.key === "0") one.whole();
      else return;
      event.preventDefault();
      viewer.refresh();
    });
    // The wheel scrolls the page until a hemisphere is chosen by a click. Two fingers on a touch pad
    // come as a wheel with Ctrl.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      const lines = event.deltaMode ? 16 : 1;
      const step = Math.max(-120, Math.min(120, lines * event.deltaY));
      one.zoomBy(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), one.placeOf(event));
      viewer.over = overOf(event);
      viewer.refresh();
    }, { passive: false });
  }
  for (const button of document.querySelectorAll("#viewer [data-turn]")) {
    button.addEventListener("click", () => {
      hemispheres.forEach((one) => one.face(button.dataset.turn));
      viewer.refresh();
    });
  }
  byId("viewer-whole").addEventListener("click", () => {
    hemispheres.forEach((one) => one.whole());
    viewer.refresh();
  });
  addEventListener("resize", () => viewer.refresh());
  await viewer.start();
})();
