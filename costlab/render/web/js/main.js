// The page: its trees, each with a table and icicles that know of each other, and its plain tables.

import { amount, percent, written } from "./numbers.js";
import { found, linesOf, openTo, pathOf } from "./lines.js";
import { crumbs, Icicle } from "./icicle.js";
import { Graph } from "./graph.js";
import { announce, Grid, made } from "./grid.js";
import { liveScatter } from "./scatter.js";
import { liveTables } from "./tables.js";

const UNITS = ["exact", "auto", "K", "M", "G", "T"];

function selectOf(label, choices, chosen, changed) {
  const select = made("select", {}, ...choices.map(([value, text]) => made("option", { value, selected: value === chosen }, text)));
  select.addEventListener("change", () => changed(select.value));
  return made("label", {}, `${label} `, select);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = made("textarea", { value: text });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

class View {
  constructor(section, tree, wrote) {
    this.section = section;
    this.tree = tree;
    this.wrote = wrote;
    this.lines = linesOf(tree);
    const measureNamed = (name) => tree.measures.findIndex(([known]) => known === name);
    const sorted = tree.sort ? { measure: measureNamed(tree.sort), network: 0 } : null;
    const narrow = innerWidth < 640; // there is room for one quantity and its share
    this.state = {
      measure: measureNamed(tree.measure), units: tree.units, open: openTo(this.lines, tree.depth), search: null,
      sort: sorted, sortKey: sorted ? `${tree.sort} 0` : "", descending: true, zoom: -1,
      columns: new Set((narrow ? [tree.measure] : tree.columns).map(measureNamed)), texts: new Set(narrow ? [] : tree.networks.length > 2 ? ["operation"] : ["operation", "output"]),
    };
    const said = {
      fold: (id) => this.fold(id), choose: (id) => this.choose(id), point: (id) => this.point(id),
      zoom: (id) => this.zoom(id), sort: (column) => this.sort(column), copy: (id) => this.copy(id),
    };
    this.details = section.querySelector(".details");
    this.grid = new Grid(section.querySelector(".beside .scroll"), tree, this.lines, said);
    this.icicles = [...section.querySelectorAll("svg.icicle")].map((svg, n) => new Icicle(svg, tree, this.lines, n, {
      ...said, choose: (id) => { this.reveal(id, false); this.choose(id); },
    }));
    this.tools(section.querySelector(".tools"));
    section.classList.add("live");
    this.nests = [];
    new ResizeObserver(() => this.pictures()).observe(section);
    this.draw();
  }

  // The graphs of these networks: a block is a line of this tree, and a click on it a click on its line.
  graphs(place, nests) {
    this.nests = nests.map((nest, n) => {
      const at = new Map(this.lines.filter((line) => line.paths[n]).map((line) => [line.paths[n], line.id]));
      const id = (path) => at.get(path) ?? -1;
      return new Graph(place, nest, n, {
        choose: (path) => { if (id(path) >= 0) { this.reveal(id(path), false); this.choose(id(path)); } },
        point: (path) => this.point(id(path)),
      });
    });
  }

  tools(place) {
    const { tree, state } = this;
    const search = made("input", { type: "search", placeholder: "search layers", "aria-label": "search layers" });
    this.status = made("output", {});
    search.addEventListener("input", () => {
      state.search = found(this.lines, search.value);
      this.status.textContent = state.search ? `${state.search.hits.size} found` : "";
      this.table();
    });
    const measures = tree.measures.map(([name, heading], n) => [String(n), heading]);
    const quantity = selectOf("draw", measures, String(state.measure), (value) => { state.measure = Number(value); state.columns.add(state.measure); this.columns(); this.draw(); announce(`${tree.measures[state.measure][1]} drawn`); });
    const units = selectOf("units", UNITS.map((unit) => [unit, unit]), state.units, (value) => { state.units = value; this.draw(); });
    const button = (text, does) => {
      const element = made("button", { type: "button" }, text);
      element.addEventListener("click", does);
      return element;
    };
    const unfold = button("unfold all", () => { state.open = openTo(this.lines, Infinity); this.table(); announce(`${this.grid.shown.length} rows`); });
    const fold = button("fold all", () => { state.open = new Set(); this.table(); announce(`${this.grid.shown.length} rows`); });
    this.order = button("order of the network", () => { Object.assign(state, { sort: null, sortKey: "" }); this.table(); announce("in the order of the network"); });
    this.boxes = made("fieldset", {}, made("legend", {}, "columns"));
    const menu = made("details", { className: "menu" }, made("summary", {}, "columns"), this.boxes);
    this.columns();
    place.append(search, quantity, units, unfold, fold, this.order, menu, this.status);
    this.crumbs = made("nav", { className: "crumbs", "aria-label": "zoom" });
    this.section.querySelector(".icicles").before(this.crumbs);
  }

  columns() {
    const { tree, state } = this;
    const box = (text, set, key) => {
      const input = made("input", { type: "checkbox", checked: set.has(key) });
      input.addEventListener("change", () => { input.checked ? set.add(key) : set.delete(key); this.table(); });
      return made("label", {}, input, ` ${text}`);
    };
    this.boxes.replaceChildren(this.boxes.firstChild, ...["operation", "output"].map((name) => box(name, state.texts, name)),
      ...tree.measures.map(([, heading], n) => box(heading, state.columns, n)));
  }

  table() {
    this.order.hidden = !this.state.sort;
    this.grid.draw(this.state);
  }

  draw() {
    this.table();
    this.pictures();
  }

  pictures() {
    for (const icicle of this.icicles) icicle.draw(this.state);
    const all = [[-1, "all"], ...crumbs(this.lines, this.state.zoom)];
    const buttons = all.map(([id, name]) => {
      const element = made("button", { type: "button", disabled: id === this.state.zoom }, name);
      element.addEventListener("click", () => this.zoomTo(id));
      return element;
    });
    this.crumbs.replaceChildren(...(all.length > 1 ? buttons.flatMap((button, n) => (n ? [" › ", button] : [button])) : []));
    const heading = this.tree.measures[this.state.measure][1];
    this.section.querySelectorAll("figcaption").forEach((caption, n) => {
      const name = this.tree.networks[n];
      const scale = this.tree.networks.length > 1 ? ", on the scale of the largest" : "";
      const how = made("span", { className: "how" }, ": click a rectangle to zoom in, or use arrow keys, Enter and Escape");
      const rest = n ? [] : [how, ". Rectangles too narrow to see are together at the end of their scope."];
      caption.replaceChildren(`${heading} of ${name}${scale}`, ...rest);
    });
    if (this.chosen !== undefined) this.mark(this.chosen);
  }

  sort(column) {
    const { state } = this;
    const again = state.sortKey === column.key;
    const descending = again ? !state.descending : Boolean(column.number);
    Object.assign(state, { sort: column.sort, sortKey: column.key, descending });
    const at = [...this.grid.head.querySelectorAll("button")].indexOf(document.activeElement);
    this.table();
    announce(`sorted by ${column.head}, ${descending ? "descending" : "ascending"}`);
    if (at >= 0) this.grid.head.querySelectorAll("button")[at].focus();
  }

  fold(id) {
    const { open } = this.state;
    open.has(id) ? open.delete(id) : open.add(id);
    this.table();
    this.grid.select(id);
  }

  // Opens the scopes around a line, and brings it on the screen.
  reveal(id, focus) {
    for (let at = this.lines[id].parent; at >= 0; at = this.lines[at].parent) this.state.open.add(at);
    this.table();
    this.grid.select(id, focus);
  }

  mark(id) {
    for (const icicle of this.icicles) icicle.mark(id);
    this.grid.mark(id);
    this.nests.forEach((nest, n) => nest.mark(id < 0 ? "" : this.lines[id].paths[n]));
  }

  point(id) {
    this.mark(id >= 0 ? id : this.chosen ?? -1);
  }

  // Into a line; out to what is around it by -2, or by the line that is zoomed to.
  zoom(id) {
    const { zoom } = this.state;
    if (id >= 0) { this.reveal(id, false); this.choose(id); }
    const outer = zoom < 0 ? -1 : this.lines[zoom].parent;
    const to = id === -2 || id === zoom ? outer : this.lines[id].inside.length ? id : this.lines[id].parent;
    const focus = id >= 0 ? id : zoom;
    this.zoomTo(to);
    const icicle = this.icicles.find((other) => other.svg.contains(document.activeElement)) ?? this.zoomedBy;
    icicle?.focus(icicle.groups.has(focus) ? focus : to);
  }

  zoomTo(id) {
    this.zoomedBy = this.icicles.find((icicle) => icicle.svg.contains(document.activeElement));
    this.state.zoom = id;
    this.pictures();
  }

  citation(id, n) {
    const { tree } = this;
    const line = this.lines[id];
    const said = ["macs", "params"].map((name) => {
      const at = tree.measures.findIndex(([known]) => known === name);
      return `${written(line.numbers[n][at], "exact")} ${tree.measures[at][1]}`;
    });
    return `${tree.networks[n]} ${line.paths[n]}: ${said.join(", ")}${this.wrote ? ` — ${this.wrote}` : ""}`;
  }

  citations(id) {
    const line = this.lines[id];
    return this.tree.networks.map((_, n) => (line.numbers[n].length ? this.citation(id, n) : "")).filter(Boolean).join("\n");
  }

  async copy(id) {
    const done = await copied(this.citations(id));
    this.status.textContent = done ? "copied" : "could not copy: the text stands beside the table";
    this.grid.rowOf(id)?.focus({ preventScroll: true });
  }

  choose(id) {
    const { tree } = this;
    const line = this.lines[id];
    this.chosen = id;
    this.mark(id);
    const copy = made("button", { type: "button" }, "copy");
    copy.addEventListener("click", () => this.copy(id));
    const parts = [made("h2", {}, pathOf(line)), made("p", {}, [line.operation, line.output && `→ ${line.output}`].filter(Boolean).join(" "))];
    tree.networks.forEach((name, n) => {
      if (!line.numbers[n].length) return;
      if (tree.networks.length > 1) parts.push(made("h3", {}, name));
      if (line.derivations[n]) parts.push(made("p", {}, made("code", {}, `MACs = ${line.derivations[n]}`)));
      const rows = tree.measures.map(([, heading], m) => {
        const part = amount(line.numbers[n][m]);
        const whole = amount(tree.totals[n][m]);
        const share = part === null || whole === null ? "" : percent(part, whole);
        return made("tr", {}, made("th", { scope: "row" }, heading), made("td", { className: "n" }, written(line.numbers[n][m], "exact")), made("td", { className: "n" }, share));
      });
      parts.push(made("table", {}, made("tbody", {}, ...rows)));
    });
    const close = made("button", { type: "button" }, "close");
    close.addEventListener("click", () => { this.details.hidden = true; this.grid.select(id); });
    parts.push(made("p", {}, made("code", {}, this.citations(id)), " ", copy, " ", close));
    this.details.hidden = false;
    this.details.replaceChildren(...parts);
  }
}

if (globalThis.document) {
  const data = JSON.parse(document.getElementById("data").textContent);
  const views = [...document.querySelectorAll("section.tree")].map((section) => new View(section, data.trees[Number(section.dataset.tree)], data.made));
  document.querySelectorAll("section.graphs").forEach((section, n) => {
    if (!data.graphs[n].length) return;
    section.replaceChildren();
    section.classList.add("live");
    views[n].graphs(section, data.graphs[n]);
  });
  document.querySelectorAll("section.scatter").forEach((section, n) => liveScatter(section, data.scatters[n]));
  liveTables(document.querySelectorAll("table.plain"));
}
