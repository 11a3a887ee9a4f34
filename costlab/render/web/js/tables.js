// Plain tables: a click on a head sorts, a field above a long one filters.

import { made } from "./grid.js";

// A number to sort a cell's text by; what is no number comes after all numbers, by its letters.
export function cellValue(text) {
  const plain = text.replace(/[,\s%≥+×]/g, "").replace("−", "-").replace("÷", "1/");
  const number = Number(plain || NaN);
  return Number.isNaN(number) ? text : number;
}

export function comparedCells(a, b) {
  const [left, right] = [cellValue(a), cellValue(b)];
  if (typeof left === typeof right) return left < right ? -1 : left > right ? 1 : 0;
  return typeof left === "number" ? -1 : 1;
}

// The words that stand in few different cells of a column: verdicts, kinds, models.
export function choicesOf(texts) {
  const different = [...new Set(texts)].filter(Boolean);
  const short = different.every((text) => text.length <= 40 && typeof cellValue(text) === "string");
  return short && different.length > 1 && different.length <= 12 && texts.length >= 2 * different.length ? different.sort() : [];
}

export function liveTable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const textOf = (row, n) => (row.cells[n]?.firstChild?.textContent ?? "").trim();
  // A table with lines under lines, such as a comparison, is read in its own order.
  const flat = rows.every((row) => textOf(row, 0) && !/\bd[1-9]\b/.test(row.cells[0].className));
  if (!flat || rows.length < 3) return;
  const last = rows.filter((row) => textOf(row, 0) === "total");
  const others = rows.filter((row) => !last.includes(row));
  heads.forEach((head, n) => {
    if (!head.textContent) return; // what says the column before it in other words
    const button = made("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("n");
      const descending = head.getAttribute("aria-sort") === "ascending" || down;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const sign = descending ? -1 : 1;
      others.sort((a, b) => sign * comparedCells(textOf(a, n), textOf(b, n)));
      body.append(...others, ...last);
    });
  });
  table.classList.add("sortable");
  if (others.length < 8) return;
  const tools = made("div", { className: "tools" });
  const word = made("input", { type: "search", placeholder: "filter", "aria-label": "filter rows" });
  const status = made("output", {});
  const filters = [];
  const apply = () => {
    const words = word.value.toLowerCase().split(/\s+/).filter(Boolean);
    let kept = 0;
    for (const row of others) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((wanted) => text.includes(wanted)) && filters.every(([n, select]) => !select.value || textOf(row, n) === select.value);
      row.hidden = !fits;
      kept += fits;
    }
    status.textContent = kept === others.length ? "" : `${kept} of ${others.length}`;
  };
  word.addEventListener("input", apply);
  tools.append(word);
  heads.forEach((head, n) => {
    const choices = choicesOf(others.map((row) => textOf(row, n)));
    if (n === 0 || !choices.length) return;
    const name = head.textContent;
    const select = made("select", { "aria-label": `filter by ${name}` }, made("option", { value: "" }, `${name}: all`),
      ...choices.map((choice) => made("option", { value: choice }, choice)));
    select.addEventListener("change", apply);
    filters.push([n, select]);
    tools.append(select);
  });
  tools.append(status);
  table.parentElement.before(tools);
}
