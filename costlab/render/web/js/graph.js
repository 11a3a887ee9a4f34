// The graph of a network: a click on a scope unfolds it in its place, a click on its name folds it.

import { laidOut, LINE, TITLE } from "./layers.js";
import { announce, made } from "./grid.js";
import { drawnElement } from "./icicle.js";

const MARGIN = 12;

// From point to point, each time leaving and arriving straight down.
function curve([[x, y], ...others]) {
  let d = `M${x.toFixed(1)} ${y.toFixed(1)}`;
  for (const [right, down] of others) {
    if (right === x) {
      if (down !== y) d += `V${down.toFixed(1)}`;
      y = down;
      continue;
    }
    const middle = ((y + down) / 2).toFixed(1);
    d += `C${x.toFixed(1)} ${middle} ${right.toFixed(1)} ${middle} ${right.toFixed(1)} ${down.toFixed(1)}`;
    [x, y] = [right, down];
  }
  return d;
}

// The scopes that are open so that blocks to a depth are seen.
export function scopesAbove(insides, depth) {
  const open = new Set();
  const add = (number, level) => insides[number].blocks.forEach(([path], n) => {
    const scope = insides[number].scopes[n];
    if (scope === null || level >= depth) return;
    open.add(path);
    add(scope, level + 1);
  });
  add(0, 1);
  return open;
}

export class Graph {
  // `said` is told of the paths of blocks that are chosen and pointed at.
  constructor(place, graph, number, said) {
    Object.assign(this, { graph, said, number, focused: "", groups: new Map(), open: scopesAbove(graph.insides, graph.depth) });
    this.svg = drawnElement("svg", { class: "nest", role: "group", "aria-label": `graph of ${graph.title}; the table has the same numbers` });
    const button = (text, depth) => {
      const node = made("button", { type: "button" }, text);
      node.addEventListener("click", () => { this.open = scopesAbove(graph.insides, depth); this.draw(); announce(`${this.groups.size} blocks`); });
      return node;
    };
    const caption = made("figcaption", {}, `Graph of ${graph.title}`,
      made("span", { className: "how" }, ": click a scope to unfold it, its name to fold it, or use arrow keys, Enter and Escape."));
    const several = graph.insides.length > 1 ? [button("unfold the whole graph", Infinity), button("fold the whole graph", 1)] : [];
    const scroll = made("div", { className: "scroll" }, this.svg);
    place.append(made("figure", {}, caption, made("div", { className: "tools" }, ...several), scroll));
    this.svg.addEventListener("click", (event) => this.pressed(event));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("pointerover", (event) => said.point(this.pathOf(event)));
    this.svg.addEventListener("pointerleave", () => said.point(""));
    this.draw();
  }

  pathOf(event) {
    return event.target.closest("[data-path]")?.dataset.path ?? "";
  }

  draw() {
    const all = laidOut(this.graph.insides, 0, (path) => this.open.has(path));
    const [width, height] = [all.width + 2 * MARGIN, all.height + 2 * MARGIN].map(Math.ceil);
    for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height })) this.svg.setAttribute(key, value);
    const id = `nest${this.number}`;
    const arrow = drawnElement("marker", { id, viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, drawnElement("path", { d: "M0 0L8 4L0 8z" }));
    this.groups = new Map();
    const whole = drawnElement("g", { class: "graph" }, drawnElement("defs", {}, arrow));
    this.inside(whole, all, MARGIN, MARGIN, id);
    const hadFocus = this.svg.contains(document.activeElement);
    this.svg.replaceChildren(whole);
    if (!this.groups.has(this.focused)) this.focused = this.groups.keys().next().value ?? "";
    const group = this.groups.get(this.focused)?.group;
    group?.setAttribute("tabindex", 0);
    if (hadFocus) group?.focus({ preventScroll: true });
  }

  inside(whole, all, right, down, arrow) {
    const names = [];
    for (const { points, arrow: ends } of all.lines) {
      const d = curve(points.map(([x, y]) => [x + right, y + down]));
      whole.append(drawnElement("path", { class: "link", d, ...(ends ? { "marker-end": `url(#${arrow})` } : {}) }));
    }
    for (const { points: [[x, y]], label } of all.lines) {
      if (label) names.push(drawnElement("text", { class: "shape", x: (x + right + 4).toFixed(1), y: (y + down + 13).toFixed(1) }, label));
    }
    for (const placed of all.blocks) {
      const [x, y] = [placed.x + right, placed.y + down];
      if (!placed.inner) { whole.append(this.block(placed, x, y)); continue; }
      whole.append(drawnElement("rect", { class: "box", x: x.toFixed(1), y: y.toFixed(1), width: placed.width.toFixed(1), height: placed.height, rx: 6 }));
      this.inside(whole, placed.inner, x + (placed.width - placed.inner.width) / 2, y + TITLE, arrow);
      whole.append(this.title(placed, x, y));
    }
    whole.append(...names);
  }

  block(placed, x, y) {
    const { block, foldable, width, height } = placed;
    const colour = !block.path ? "i" : block.family < 0 ? "s" : block.family;
    const texts = block.texts.map((text, n) => drawnElement("text", {
      class: n ? "" : "name", x: (x + width / 2).toFixed(1), y: (y + LINE * (n + 1) - 1).toFixed(1),
    }, foldable && !n ? `▸ ${text}` : text));
    const rect = drawnElement("rect", { x: x.toFixed(1), y: y.toFixed(1), width: width.toFixed(1), height, rx: 4 });
    const group = drawnElement("g", { class: `block c${colour}` }, rect, ...texts);
    if (block.path) this.asButton(group, placed, x + width / 2, y);
    if (foldable) group.setAttribute("aria-expanded", false);
    return group;
  }

  title(placed, x, y) {
    const name = `▾ ${placed.block.texts[0]}`;
    const group = drawnElement("g", { class: "fold-scope" },
      drawnElement("rect", { x: x.toFixed(1), y: y.toFixed(1), width: (name.length * 6.2 + 10).toFixed(1), height: TITLE, rx: 4 }),
      drawnElement("text", { class: "scope", x: (x + 5).toFixed(1), y: (y + 13).toFixed(1) }, name));
    this.asButton(group, placed, x, y);
    group.setAttribute("aria-expanded", true);
    return group;
  }

  asButton(group, { block }, x, y) {
    const said = { role: "button", tabindex: -1, "data-path": block.path, "aria-label": [block.path, ...block.texts.slice(1)].join(", ") };
    for (const [key, value] of Object.entries(said)) group.setAttribute(key, value);
    this.groups.set(block.path, { group, x, y });
  }

  pressed(event) {
    const path = this.pathOf(event);
    if (!path) return;
    this.focused = path;
    this.groups.get(path).group.focus({ preventScroll: true });
    this.enter(path);
  }

  // Unfolds or folds a scope, and says which it is; what was clicked stays where it was.
  enter(path) {
    const { group } = this.groups.get(path);
    const expanded = group.getAttribute("aria-expanded");
    if (expanded) {
      const before = group.getBoundingClientRect();
      expanded === "true" ? this.open.delete(path) : this.open.add(path);
      this.draw();
      const after = this.groups.get(path).group.getBoundingClientRect();
      scrollBy(0, after.top - before.top);
      this.svg.parentElement.scrollLeft += after.left - before.left;
    }
    this.said.choose(path);
  }

  key(event) {
    const path = this.pathOf(event);
    if (!path || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") this.enter(path);
    else if (event.key === "Escape") this.out(path);
    else if (event.key.startsWith("Arrow")) this.go(path, event.key.slice(5));
    else return;
    event.preventDefault();
  }

  // Folds the scope, or the one around.
  out(path) {
    const around = this.open.has(path) ? path : path.slice(0, Math.max(path.lastIndexOf("."), 0));
    if (!this.open.has(around)) return;
    this.focused = around;
    this.enter(around);
  }

  // To the nearest block in a direction; what is aside counts more than what is far.
  go(path, direction) {
    const here = this.groups.get(path);
    const [dx, dy] = { Right: [1, 0], Left: [-1, 0], Down: [0, 1], Up: [0, -1] }[direction];
    let [nearest, least] = ["", Infinity];
    for (const [other, { x, y }] of this.groups) {
      const along = (x - here.x) * dx + (y - here.y) * dy;
      const aside = Math.abs((x - here.x) * dy) + Math.abs((y - here.y) * dx);
      if (along > 1 && along + 3 * aside < least) [nearest, least] = [other, along + 3 * aside];
    }
    if (!nearest) return;
    here.group.setAttribute("tabindex", -1);
    this.focused = nearest;
    const { group } = this.groups.get(nearest);
    group.setAttribute("tabindex", 0);
    group.focus();
    this.said.choose(nearest);
  }

  mark(path) {
    for (const { group } of this.groups.values()) group.classList.remove("marked");
    // What is folded has the mark of what is in it.
    for (let at = path; at; at = at.slice(0, Math.max(at.lastIndexOf("."), 0))) {
      if (!this.groups.has(at)) continue;
      this.groups.get(at).group.classList.add("marked");
      return;
    }
  }
}
