"use strict";
const numbers = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const fill = (words, places) => words.replace(/\{(\w+)\}/g, (whole, name) => (name in places ? places[name] : whole));
// Permilles as charts/heattable.py packs them, and its cells.
const unpack = (packed) => packed.match(/../g).map((digits) => (digits === "--" ? null : Number.parseInt(digits, 36)));
const tenths = (value) => (value === 1000 ? "100" : `${Math.floor(value / 10)}.${value % 10}`);
const paint = (table, values, layers, top) => {
  const turned = table.classList.contains("turned");
  for (const [r, row] of [...table.tBodies[0].rows].entries()) {
    for (const [c, cell] of all("td", row).entries()) {
      const value = values[turned ? c * layers + r : r * layers + c];
      cell.textContent = value === null ? "–" : tenths(value);
      cell.className = value === null ? "" : `h${Math.min(20, Math.floor((40 * value + top) / (2 * top)))}`;
    }
  }
};
