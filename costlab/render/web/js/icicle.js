// An icicle: a rectangle for each line, as wide as its share, below the scope that it is in.

import { amount, inScale, percent } from "./numbers.js";

const HEIGHT = 26;
const NARROWEST = 8; // what is narrower can hardly be seen or hit
const LETTER = 7.2;

// Rectangles from a scope down (-1: all), in pixels; `whole` is what is as wide as the picture.
// Those of a scope that are too narrow are `more`: one rectangle at its end, by the first of them.
export function rectangles(lines, network, measure, from, whole, width) {
  const wide = (id) => {
    const numbers = lines[id].numbers[network];
    return numbers.length ? (Number(amount(numbers[measure]) || 0n) / whole) * width : 0;
  };
  const cells = [];
  const waiting = [[from >= 0 ? [from] : lines.filter((line) => line.parent < 0).map((line) => line.id), 0, 0]];
  while (waiting.length && whole > 0) {
    const [ids, level, start] = waiting.pop();
    let x = start;
    const more = ids.filter((id) => wide(id) > 0 && wide(id) < NARROWEST);
    for (const id of ids.filter((other) => wide(other) >= NARROWEST)) {
      cells.push({ id, level, x, width: wide(id), more: [] });
      waiting.push([lines[id].inside, level + 1, x]);
      x += wide(id);
    }
    const rest = more.reduce((sum, id) => sum + wide(id), 0);
    if (rest >= NARROWEST) cells.push({ id: more[0], level, x, width: rest, more });
  }
  return cells.sort((a, b) => a.level - b.level || a.x - b.x);
}

export function drawnElement(name, attributes, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

// Draws into an <svg>; `said` is told what is chosen and what is zoomed to.
export class Icicle {
  constructor(svg, tree, lines, network, said) {
    Object.assign(this, { svg, tree, lines, network, said, cells: [], groups: new Map(), focused: -1 });
    svg.setAttribute("role", "group");
    svg.addEventListener("click", (event) => {
      const group = event.target.closest("g");
      if (!group) return;
      this.focused = Number(group.dataset.id);
      this.enter(this.focused);
    });
    svg.addEventListener("pointerover", (event) => {
      const group = event.target.closest("g");
      this.said.point(group ? Number(group.dataset.id) : -1);
    });
    svg.addEventListener("pointerleave", () => this.said.point(-1));
    svg.addEventListener("keydown", (event) => this.key(event));
  }

  draw(state) {
    const width = Math.max(this.svg.clientWidth, 200);
    const { measure, zoom, units } = state;
    this.zoomed = zoom;
    const heading = this.tree.measures[measure][1];
    const totals = this.tree.totals.map((numbers) => amount(numbers[measure]) || 0n);
    const parts = this.tree.networks.map((_, n) => {
      const numbers = zoom >= 0 ? this.lines[zoom].numbers[n] : this.tree.totals[n];
      return numbers.length ? Number(amount(numbers[measure]) || 0n) : 0;
    });
    this.cells = rectangles(this.lines, this.network, measure, zoom, Math.max(...parts), width);
    const levels = 1 + Math.max(0, ...this.cells.map((cell) => cell.level));
    const focus = this.cells.some((cell) => cell.id === this.focused) ? this.focused : this.cells[0]?.id;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${levels * HEIGHT}`);
    this.svg.setAttribute("height", levels * HEIGHT);
    this.groups = new Map();
    const drawn = document.createDocumentFragment();
    for (const cell of this.cells) {
      const line = this.lines[cell.id];
      const ids = cell.more.length ? cell.more : [cell.id];
      const value = ids.reduce((sum, id) => sum + (amount(this.lines[id].numbers[this.network][measure]) || 0n), 0n);
      const name = cell.more.length ? `${ids.length} more` : line.name;
      const what = cell.more.length ? `${name}, from ${line.paths[this.network]} on` : line.paths[this.network];
      const text = `${what}: ${inScale(value, units)} ${heading}, ${percent(value, totals[this.network])}`;
      const group = drawnElement("g", {
        class: `c${cell.more.length ? "m" : line.family < 0 ? "s" : line.family}`, role: "button", "aria-label": text,
        tabindex: cell.id === focus ? 0 : -1, "data-id": cell.id,
      });
      const title = drawnElement("title", {});
      title.textContent = text;
      group.append(title, drawnElement("rect", {
        x: cell.x.toFixed(2), y: cell.level * HEIGHT, width: cell.width.toFixed(2), height: HEIGHT - 1,
      }));
      const letters = Math.floor((cell.width - 6) / LETTER);
      if (letters >= 2) {
        const label = drawnElement("text", { x: (cell.x + 4).toFixed(2), y: cell.level * HEIGHT + 17 });
        label.textContent = name.length <= letters ? name : name.slice(0, letters - 1) + "…";
        group.append(label);
      }
      for (const id of ids) this.groups.set(id, group);
      drawn.append(group);
    }
    const focused = this.svg.contains(document.activeElement);
    this.svg.replaceChildren(drawn);
    if (focused) this.groups.get(focus)?.focus({ preventScroll: true });
  }

  // Zooms to a rectangle; to the scope of several that are one, or says the first of them.
  enter(id) {
    const scope = this.lines[id].parent;
    const several = this.cells.find((cell) => cell.id === id).more.length;
    if (!several) this.said.zoom(id);
    else if (scope === this.zoomed) this.said.choose(id);
    else this.said.zoom(scope);
  }

  // Marks a line, or the innermost rectangle that it is in.
  mark(id) {
    for (const group of this.svg.querySelectorAll(".marked")) group.classList.remove("marked");
    let there = id;
    while (there >= 0 && !this.groups.has(there)) there = this.lines[there].parent;
    if (there >= 0) this.groups.get(there).classList.add("marked");
  }

  key(event) {
    const group = event.target.closest("g");
    if (!group) return;
    const id = Number(group.dataset.id);
    const cell = this.cells.find((other) => other.id === id);
    const beside = this.cells.filter((other) => other.level === cell.level);
    const at = beside.indexOf(cell);
    const next = {
      ArrowRight: () => beside[at + 1],
      ArrowLeft: () => beside[at - 1],
      ArrowDown: () => this.cells.find((other) => !cell.more.length && this.lines[other.id].parent === id),
      ArrowUp: () => this.cells.find((other) => other.id === this.lines[id].parent),
      Home: () => beside[0],
      End: () => beside[beside.length - 1],
    }[event.key];
    if (next) this.focus(next()?.id);
    else if (event.key === "Enter" || event.key === " ") this.enter(id);
    else if (event.key === "Escape" || event.key === "Backspace") this.said.zoom(-2);
    else return;
    event.preventDefault();
  }

  focus(id) {
    if (id === undefined || !this.groups.has(id)) return;
    this.groups.get(this.focused)?.setAttribute("tabindex", -1);
    for (const group of this.svg.querySelectorAll("[tabindex='0']")) group.setAttribute("tabindex", -1);
    this.focused = id;
    const group = this.groups.get(id);
    group.setAttribute("tabindex", 0);
    group.focus();
    this.said.choose(id);
  }
}

export function crumbs(lines, id) {
  const names = [];
  for (let at = id; at >= 0; at = lines[at].parent) names.unshift([at, lines[at].name]);
  return names;
}

