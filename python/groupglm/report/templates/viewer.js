// SPDX-License-Identifier: BSD-3-Clause
// What the viewers of all kinds of data share: maps of whole numbers, a threshold, clusters that are
// too small, and words about a value.
"use strict";
const byId = (id) => document.getElementById(id);
const json = (id) => JSON.parse(byId(id).textContent);

async function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Kind(await new Response(stream).arrayBuffer());
}

const signed = (text) => text.replace("-", "−");

// As p is written elsewhere on the page.
const asP = (logp) => {
  const p = 10 ** -logp;
  return p < 0.0005 ? String(Number(p.toPrecision(2))) : p.toFixed(3);
};

class MapViewer {
  static SHOWN = 1;
  static SMALL = 2;

  maps = new Map();
  map = null;
  limit = 0;
  state = null; // of each place of the map: beyond the limit, and in a cluster large enough?
  sizes = new Map(); // of the clusters that are left out, by their places
  #waiting = false;

  async load(number) {
    if (!this.maps.has(number)) {
      let found = json(`viewer-map-${number}`);
      if ("values_of" in found) found = { ...(await this.load(found.values_of)), ...found };
      else found.values = await unpack(found.data, Int16Array);
      this.maps.set(number, found);
    }
    return this.maps.get(number);
  }

  numberOf(stored) {
    const { infinite, step } = this.map;
    return Math.abs(stored) === infinite ? Math.sign(stored) * Infinity : stored * step;
  }

  sideOf(stored) {
    const { map } = this;
    if (stored === map.outside) return 0;
    const value = this.numberOf(stored);
    if ((map.signed ? Math.abs(value) : map.side * value) <= this.limit) return 0;
    return value > 0 ? 1 : -1;
  }

  // The number of a value's colour.
  entryOf(stored) {
    const value = (stored * this.map.step) / (this.map.largest || 1);
    return Math.round(127.5 * (1 + Math.max(-1, Math.min(1, value))));
  }

  // The least size of a cluster at a place.
  extentOf() {
    return this.map.extent;
  }

  extentInWords(at) {
    return String(Number(this.extentOf(at).toPrecision(4)));
  }

  // Clusters of neighbours of one sign, as in the table: the small ones are left out.
  sift() {
    const { values } = this.map;
    const { SHOWN, SMALL } = MapViewer;
    this.state = new Uint8Array(values.length);
    this.sizes = new Map();
    const { state } = this;
    const members = [];
    for (let start = 0; start < state.length; start++) {
      const side = state[start] ? 0 : this.sideOf(values[start]);
      if (!side) continue;
      members.length = 0;
      members.push(start);
      state[start] = SHOWN;
      const extent = this.extentOf(start);
      if (extent <= 1) continue;
      for (let next = 0; next < members.length; next++) {
        for (const other of this.neighboursOf(members[next])) {
          if (state[other] || this.sideOf(values[other]) !== side) continue;
          state[other] = SHOWN;
          members.push(other);
        }
      }
      const size = this.sizeOf(members);
      if (size >= extent) continue;
      for (const at of members) {
        state[at] = SMALL;
        this.sizes.set(at, size);
      }
    }
  }

  // The value at a place, whose index is negative if it is not in the map.
  inWords(index) {
    const { map, state } = this;
    if (index < 0 || map.values[index] === map.outside) {
      return "outside the mask, or without a statistic";
    }
    const value = this.numberOf(map.values[index]);
    let what;
    if (map.unit === "p") {
      const side = state[index] ? "below" : "not below";
      what = `${map.label} = ${asP(value)}, ${side} the limit`;
    } else {
      const past = map.side < 0 ? "below" : "above";
      const side = state[index] ? past : `not ${past}`;
      what = `${map.label} = ${signed(this.inDigits(value))}, ${side} the threshold`;
    }
    if (state[index] === MapViewer.SMALL) what += `, ${this.smallInWords(this.sizes.get(index), index)}`;
    return what;
  }

  limitInWords() {
    const { map, limit } = this;
    if (map.unit === "p") return `p < ${asP(limit)}`;
    const { label } = map;
    if (map.side < 0) return `${label} < −${this.inDigits(limit)}`;
    return `${map.signed ? `|${label}|` : label} > ${this.inDigits(limit)}`;
  }

  // With as many digits as the map is stored in.
  inDigits(value) {
    const digits = Math.min(8, Math.max(2, Math.ceil(-Math.log10(this.map.step) - 0.5)));
    return value.toFixed(digits).replace("Infinity", "∞");
  }

  refresh() {
    byId("viewer-readout").textContent = this.placeInWords();
    byId("viewer-limit").textContent = this.limitInWords();
    if (this.#waiting) return;
    this.#waiting = true; // at most one drawing a frame, however fast the pointer moves
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.draw();
    });
  }

  async choose(number) {
    this.map = await this.load(Number(number));
    byId("viewer-map").value = String(number);
    const slider = byId("viewer-threshold");
    // No value is above the end of the slider, however it was rounded.
    const { largest, step, threshold } = this.map;
    slider.max = String(Math.max((Math.ceil(largest / step) + 0.5) * step, threshold));
    slider.value = String(this.map.threshold);
    this.limit = this.map.threshold;
    this.sift();
    this.toPeak();
  }

  // Show a map, at the place of a row of its table.
  async show(number, move) {
    if (this.map !== (await this.load(Number(number)))) await this.choose(number);
    if (move) move();
    byId("viewer").scrollIntoView();
    this.focus();
  }

  async start() {
    byId("viewer-map").addEventListener("change", (event) => this.choose(event.target.value));
    byId("viewer-threshold").addEventListener("input", (event) => {
      this.limit = Number(event.target.value);
      this.sift();
      this.refresh();
    });
    byId("viewer-peak").addEventListener("click", () => this.toPeak());
    for (const button of document.querySelectorAll("[data-view]")) {
      button.addEventListener("click", () => this.show(button.dataset.view, null));
    }
    // A cluster's number leads to its peak in the viewer.
    for (const table of document.querySelectorAll("table[data-map]")) {
      [...table.tBodies[0].rows].forEach((row, place) => {
        const move = this.moveOf(table.dataset.map, row, place);
        if (!move) return;
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = row.cells[0].textContent;
        button.title = "Show in the viewer";
        button.addEventListener("click", () => this.show(table.dataset.map, move));
        row.cells[0].replaceChildren(button);
      });
    }
    await this.choose(0);
  }
}
