// The table of a tree: an ARIA tree grid that folds, sorts, and draws only the rows that are seen.

import { amount, change, percent, written } from "./numbers.js";
import { pathOf, placesBeside, shownLines } from "./lines.js";

const WHOLE = 300; // so many rows are in the page at once; of more, those on the screen
const AROUND = 12;

export function made(name, properties = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...inside);
  return element;
}

// Tells those who do not see it what has changed.
export function announce(text) {
  let place = document.querySelector("output.announced");
  if (!place) {
    place = made("output", { className: "announced" });
    document.body.append(place);
  }
  place.textContent = text;
}

// The columns behind the first: what is above each, what it is sorted by, and its cell of a line.
export function columnsOf(tree, state) {
  const several = tree.networks.length > 1;
  const columns = [];
  const text = (name) => ({ key: name, head: name, sort: { column: name }, cell: (line) => line[name] });
  for (const name of ["operation", "output"]) if (state.texts.has(name)) columns.push(text(name));
  if (several) columns.push({ ...text("verdict"), kind: "verdict" });
  tree.measures.forEach(([name, heading], measure) => {
    if (!state.columns.has(measure)) return;
    tree.networks.forEach((network, n) => {
      columns.push({
        key: `${name} ${n}`, head: several ? `${heading}, ${network}` : heading, number: true,
        sort: { measure, network: n },
        cell: (line) => (line.numbers[n].length ? written(line.numbers[n][measure], state.units) : ""),
        total: () => written(tree.totals[n][measure], state.units),
      });
      if (n === 0) return;
      const changed = (first, other) => {
        if (!first.length && !other.length) return "";
        const [a, b] = [first, other].map((numbers) => (numbers.length ? amount(numbers[measure]) : 0n));
        if (a === null || b === null) return "?";
        return a === b && first.length !== other.length ? "" : change(a, b);
      };
      columns.push({
        key: `${name} change ${n}`, head: tree.networks.length > 2 ? `change of ${heading}, ${network}` : `change of ${heading}`, number: true,
        sort: { measure, network: n, against: 0 },
        cell: (line) => changed(line.numbers[0], line.numbers[n]),
        total: () => changed(tree.totals[0], tree.totals[n]),
      });
    });
  });
  const { measure } = state;
  tree.networks.forEach((network, n) => {
    const whole = amount(tree.totals[n][measure]) || 0n;
    columns.push({
      key: `share ${n}`, head: several ? `share, ${network}` : `share of ${tree.measures[measure][1]}`, number: true,
      sort: { measure, network: n },
      cell: (line) => {
        if (!line.numbers[n].length) return "";
        const part = amount(line.numbers[n][measure]);
        return part === null ? "?" : percent(part, whole);
      },
      part: (line) => (whole && line.numbers[n].length ? Number(amount(line.numbers[n][measure]) || 0n) / Number(whole) : 0),
      total: () => percent(whole, whole),
    });
  });
  return columns;
}

export class Grid {
  constructor(scroll, tree, lines, said) {
    Object.assign(this, { scroll, tree, lines, said, shown: [], columns: [], height: 24, selected: -1, printing: false });
    this.head = made("thead");
    this.body = made("tbody");
    this.foot = made("tfoot");
    const gap = () => made("tr", { className: "gap", role: "presentation" }, made("td", { colSpan: 1000, role: "presentation" }));
    [this.above, this.below] = [gap(), gap()];
    this.table = made("table", { role: "treegrid", "aria-readonly": true, "aria-label": `${tree.title} of ${tree.networks.join(", ")}` }, this.head, this.body, this.foot);
    scroll.replaceChildren(this.table);
    scroll.addEventListener("scroll", () => this.rows());
    this.body.addEventListener("click", (event) => this.clicked(event));
    scroll.addEventListener("keydown", (event) => { if (this.hasFocus(event.target)) this.key(event); });
    this.body.addEventListener("pointerover", (event) => this.said.point(this.idOf(event)));
    this.body.addEventListener("pointerleave", () => this.said.point(-1));
    const whole = (printing) => () => { this.printing = printing; this.rows(); };
    addEventListener("beforeprint", whole(true));
    addEventListener("afterprint", whole(false));
  }

  idOf(event) {
    const row = event.target.closest("tr[data-id]");
    return row ? Number(row.dataset.id) : -1;
  }

  draw(state) {
    this.state = state;
    this.columns = columnsOf(this.tree, state);
    this.shown = shownLines(this.lines, state);
    this.place = new Map(this.shown.map((id, index) => [id, index]));
    this.beside = placesBeside(this.lines, this.shown);
    if (!this.place.has(this.selected)) this.selected = this.shown[0] ?? -1;
    const heads = [{ key: "layer", head: "layer", sort: { column: "layer" } }, ...this.columns];
    // Widths of texts are known beforehand, so that columns stay where they are while one scrolls.
    const longest = (text) => this.shown.reduce((most, id) => Math.max(most, text(this.lines[id]).length), 0);
    this.head.replaceChildren(made("tr", { role: "row", "aria-rowindex": 1 }, ...heads.map((column) => {
      const sorted = state.sortKey === column.key;
      const mark = sorted ? (state.descending ? " ▼" : " ▲") : "";
      const button = made("button", { type: "button" }, column.head, ...(mark ? [made("span", { "aria-hidden": true }, mark)] : []));
      button.addEventListener("click", () => this.said.sort(column));
      const head = made("th", {
        scope: "col", role: "columnheader", className: column.number ? "n" : "",
        "aria-sort": sorted ? (state.descending ? "descending" : "ascending") : "none",
      }, button);
      if (this.shown.length > WHOLE && !column.number) head.style.minWidth = `${longest(column.cell ?? ((line) => line.name.padStart(line.name.length + 2 * line.level))) + 2}ch`;
      return head;
    })));
    const totals = this.columns.map((column) =>
      made("td", { role: "gridcell", className: column.number ? "n" : "" }, column.total ? column.total() : ""));
    this.foot.replaceChildren(made("tr", { role: "row", className: "strong", "aria-rowindex": this.shown.length + 2 },
      made("th", { scope: "row", role: "rowheader" }, "total"), ...totals));
    this.table.setAttribute("aria-rowcount", this.shown.length + 2);
    this.rows(true);
  }

  // The rows that are seen, and above and below them the space of those that are not. While one
  // scrolls, rows come and go at the ends only, so that the browser lays out no more than these.
  rows(anew = false) {
    const all = this.printing || this.shown.length <= WHOLE;
    const top = Math.floor(this.scroll.scrollTop / this.height);
    const many = Math.ceil(this.scroll.clientHeight / this.height);
    const first = all ? 0 : Math.max(0, Math.min(top, this.shown.length - many) - AROUND);
    const last = all ? this.shown.length : Math.min(this.shown.length, top + many + AROUND);
    if (!anew && this.first === first && this.last === last) return;
    Object.assign(this, { first, last });
    const focused = this.hasFocus(document.activeElement);
    if (anew) {
      this.drawn = new Map();
      this.body.replaceChildren(this.above, this.below);
    }
    for (const [index, row] of this.drawn) {
      if (index >= first && index < last) continue;
      row.remove();
      this.drawn.delete(index);
    }
    const kept = Math.min(last, ...this.drawn.keys());
    const next = this.drawn.get(kept);
    for (let index = first; index < last; index += 1) {
      if (this.drawn.has(index)) continue;
      const row = this.row(this.shown[index], index);
      (index < kept && next ? next : this.below).before(row);
      this.drawn.set(index, row);
    }
    this.above.firstChild.height = first * this.height;
    this.below.firstChild.height = (this.shown.length - last) * this.height;
    if (anew) this.measure(all);
    const selected = this.rowOf(this.selected);
    this.scroll.tabIndex = selected ? -1 : 0;
    if (focused) (selected ?? this.scroll).focus({ preventScroll: true });
  }

  // Whether keys are the rows': one of them has the focus, or all of them while it is out of sight.
  hasFocus(element) {
    return element === this.scroll || this.body.contains(element);
  }

  // How high a row is, which the browser would lay out all for at each step of a scroll.
  measure(all) {
    const height = this.body.querySelector("tr[data-id]")?.offsetHeight || this.height;
    if (height === this.height) return;
    this.height = height;
    if (!all) this.rows(true);
  }

  row(id, index) {
    const line = this.lines[id];
    const { open, search } = this.state;
    const scope = line.inside.length > 0;
    const unfolded = scope && (open.has(id) || Boolean(search?.around.has(id)));
    const name = made("span", { className: search?.hits.has(id) ? "hit" : "" }, this.state.sort && line.parent < 0 ? pathOf(line) : line.name);
    const fold = scope ? made("span", { className: "fold", "aria-hidden": "true" }, unfolded ? "▾" : "▸") : "";
    const [position, size] = this.beside.get(id);
    const row = made("tr", {
      role: "row", "data-id": id, "aria-posinset": position, "aria-setsize": size, className: scope ? "strong" : "", tabIndex: id === this.selected ? 0 : -1,
      "aria-level": line.level + 1, "aria-rowindex": index + 2, "aria-selected": id === this.selected,
    }, made("th", { scope: "row", role: "rowheader", className: `d${Math.min(line.level, 9)}` }, fold, name));
    if (scope) row.setAttribute("aria-expanded", unfolded);
    if (id === this.marked) row.classList.add("marked");
    for (const column of this.columns) {
      const text = column.cell(line);
      const kind = column.kind && this.tree.networks.length === 2 ? text : column.number ? "n" : "";
      const cell = made("td", { role: "gridcell", className: column.part ? "n share" : kind }, text);
      if (column.part) cell.style.setProperty("--part", column.part(line).toFixed(4));
      row.append(cell);
    }
    return row;
  }

  rowOf(id) {
    return this.body.querySelector(`tr[data-id="${id}"]`);
  }

  mark(id) {
    this.marked = id;
    for (const row of this.body.querySelectorAll(".marked")) row.classList.remove("marked");
    this.rowOf(id)?.classList.add("marked");
  }

  // Makes a line the one that keys go on from, and brings it on the screen.
  select(id, focus = true) {
    const index = this.place.get(id);
    if (index === undefined) return;
    const before = this.rowOf(this.selected);
    if (before) { before.tabIndex = -1; before.setAttribute("aria-selected", false); }
    this.selected = id;
    const above = this.head.offsetHeight;
    const top = index * this.height;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    const bottom = top + above + this.height + this.foot.offsetHeight - this.scroll.clientHeight;
    if (bottom > this.scroll.scrollTop) this.scroll.scrollTop = bottom;
    if (!this.rowOf(id)) this.rows();
    const row = this.rowOf(id);
    if (!row) return;
    row.tabIndex = 0;
    row.setAttribute("aria-selected", true);
    if (focus) row.focus({ preventScroll: true });
  }

  clicked(event) {
    const id = this.idOf(event);
    if (id < 0) return;
    if (event.target.closest(".fold")) { this.select(id); this.said.fold(id); return; }
    this.select(id);
    this.said.choose(id);
  }

  key(event) {
    const id = this.selected;
    if (id < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = this.place.get(id);
    const line = this.lines[id];
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / this.height) - 2);
    const unfolded = this.rowOf(id)?.getAttribute("aria-expanded") === "true";
    const to = {
      ArrowDown: index + 1, ArrowUp: index - 1, PageDown: Math.min(index + page, this.shown.length - 1),
      PageUp: Math.max(index - page, 0), Home: 0, End: this.shown.length - 1,
    }[event.key];
    if (to !== undefined) this.select(this.shown[to]);
    else if (event.key === "ArrowRight" && line.inside.length) unfolded ? this.select(this.shown[index + 1]) : this.said.fold(id);
    else if (event.key === "ArrowLeft") {
      if (unfolded) this.said.fold(id);
      else if (line.parent >= 0) this.select(line.parent);
    } else if (event.key === "Enter" || event.key === " ") this.said.choose(id);
    else if (event.key === "c") this.said.copy(id);
    else return;
    event.preventDefault();
  }
}

