// Points by two axes that are chosen; those that no other one dominates are on a line.

import { inScale } from "./numbers.js";
import { made } from "./grid.js";

// The numbers of the points that no other one beats in one, without being beaten in the other.
// An axis is its heading, its values, and whether more of it is better.
export function front(x, y) {
  const [xs, ys] = [x, y].map(([, values, most]) => (most ? values.map((value) => -value) : values));
  const best = [];
  const order = xs.map((_, n) => n).sort((a, b) => xs[a] - xs[b] || ys[a] - ys[b]);
  for (const n of order) if (!best.length || ys[n] < ys[best[best.length - 1]]) best.push(n);
  return best;
}

function text(value) {
  return Number.isInteger(value) && value >= 0 ? inScale(BigInt(value), "auto") : String(Number(value.toPrecision(6)));
}

function places(values, begin, end) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return values.map((value) => begin + (high > low ? (value - low) / (high - low) : 0.5) * (end - begin));
}

export function liveScatter(section, data) {
  const svg = section.querySelector("svg");
  const caption = section.querySelector("figcaption");
  const status = made("output", {});
  const node = (name, attributes, content = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = content;
    return element;
  };
  const draw = () => {
    const [[xName, xs], [yName, ys]] = [data.axes[data.x], data.axes[data.y]];
    const [px, py] = [places(xs, 90, 700), places(ys, 376, 40)];
    const best = front(data.axes[data.x], data.axes[data.y]);
    const onLine = new Set(best);
    const said = (n) => `${data.labels[n]}: ${text(xs[n])} ${xName}, ${text(ys[n])} ${yName}`;
    const ends = (values) => [Math.min, Math.max].map((most) => text(values.reduce((a, b) => most(a, b))));
    const points = xs.map((_, n) => {
      const circle = node("circle", { cx: px[n].toFixed(1), cy: py[n].toFixed(1), r: 4, "data-point": n, class: onLine.has(n) ? "best" : "" });
      circle.append(node("title", {}, said(n)));
      return circle;
    });
    const [xEnds, yEnds] = [ends(xs), ends(ys)];
    svg.replaceChildren(
      node("path", { class: "axes", d: "M90 30V376H710" }),
      node("text", { x: 90, y: 398 }, xEnds[0]), node("text", { class: "end", x: 710, y: 398 }, xEnds[1]),
      node("text", { class: "middle", x: 400, y: 414 }, xName),
      node("text", { class: "end", x: 84, y: 376 }, yEnds[0]), node("text", { class: "end", x: 84, y: 44 }, yEnds[1]),
      node("text", { x: 4, y: 20 }, yName),
      node("polyline", { points: best.map((n) => `${px[n].toFixed(1)},${py[n].toFixed(1)}`).join(" ") }), ...points);
    svg.setAttribute("aria-label", `${xName} and ${yName} of each variant; the table has the same numbers`);
    const [xBetter, yBetter] = [data.x, data.y].map((n) => `${data.axes[n][2] ? "more" : "less"} ${data.axes[n][0]}`);
    const more = data.left ? ` ${inScale(BigInt(data.left), "exact")} more are not on this page.` : "";
    caption.textContent = `${xName} and ${yName} of each variant; on the line are those that no other one here beats by ${xBetter} and ${yBetter}.${more} Click a point for its choices.`;
    svg.onclick = (event) => {
      const n = event.target.dataset?.point;
      if (n !== undefined) status.textContent = said(Number(n));
    };
  };
  const boxes = [];
  const chooser = (axis) => {
    const select = made("select", {}, ...data.axes.map(([name], n) => made("option", { value: n, selected: n === data[axis] }, name)));
    const most = made("input", { type: "checkbox", checked: data.axes[data[axis]][2] });
    const changed = () => {
      for (const [other, box] of boxes) box.checked = data.axes[data[other]][2];
      draw();
    };
    boxes.push([axis, most]);
    select.addEventListener("change", () => { data[axis] = Number(select.value); changed(); });
    most.addEventListener("change", () => { data.axes[data[axis]][2] = most.checked; changed(); });
    return [made("label", {}, `${axis} `, select), made("label", {}, most, " more is better")];
  };
  section.prepend(made("div", { className: "tools" }, ...chooser("x"), ...chooser("y"), status));
  draw();
}
