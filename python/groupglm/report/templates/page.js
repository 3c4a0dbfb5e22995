// SPDX-License-Identifier: BSD-3-Clause
// Tables that sort, copy and download; the page is complete without it.
"use strict";
(() => {
  document.documentElement.classList.add("script");

  const cellsOf = (row) => [...row.cells].map((cell) => cell.textContent.trim());

  // As on the screen: what was sorted stays sorted.
  function asTsv(id) {
    const table = document.querySelector(`#${id} table`);
    const rows = [...table.tHead.rows, ...table.tBodies[0].rows];
    return rows.map((row) => cellsOf(row).join("\t")).join("\n") + "\n";
  }

  function say(near, text) {
    const status = near.parentElement.querySelector("[role=status]");
    if (status) status.textContent = text;
    else near.textContent = text;
  }

  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Notebooks may forbid the clipboard to frames; the older way needs a selection.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say(button, "Copied");
  }

  function download(text, file) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
    link.download = file;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Numbers by size, words by letter, empty cells last in either direction.
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [Number(a), Number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return sign * (x - y);
    return sign * a.localeCompare(b, undefined, { numeric: true });
  }

  function sortBy(table, column, header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [cellsOf(row)[column], row]);
    rows.sort((a, b) => compare(a[0], b[0], down ? -1 : 1));
    body.append(...rows.map((pair) => pair[1]));
  }

  for (const table of document.querySelectorAll("table")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", () => sortBy(table, column, header));
      header.replaceChildren(button);
    });
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () =>
      copy(document.getElementById(button.dataset.copy).textContent, button));
  }
  for (const button of document.querySelectorAll("[data-copy-table]")) {
    button.addEventListener("click", () => copy(asTsv(button.dataset.copyTable), button));
  }
  for (const button of document.querySelectorAll("[data-download]")) {
    button.addEventListener("click", () =>
      download(asTsv(button.dataset.download), button.dataset.file));
  }

  // What is folded away is still part of the printed page.
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
