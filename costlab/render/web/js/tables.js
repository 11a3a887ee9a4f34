// Plain tables: a click on a head sorts, a field above long ones filters.

import { announce, made } from "./grid.js";

const MANY = 12; // fewer rows are seen at once

const POWERS = { p: -12, n: -9, µ: -6, m: -3, K: 3, M: 6, million: 6, G: 9, billion: 9, T: 12, P: 15 };
const AMOUNT = /^\[?[≥<>]?([−+×÷-]?)(\d[\d,]*(?:\.\d+)?) ?(million|billion|[pnµmKMGTP])?(B\/s|FLOPS|OPS|B|s|%| %|×)?(?:, .*\])?$/;

// A number to sort a cell's text by, of an interval where it begins; a factor is the change in per cent
// that it is, since both stand in one column. A text that is none of these stays one, such as a shape.
export function cellValue(text) {
  const parts = AMOUNT.exec(text);
  if (!parts) return text;
  const [, sign, digits, prefix] = parts;
  const number = Number(`${digits.replaceAll(",", "")}e${POWERS[prefix] ?? 0}`);
  if (sign === "×") return (number - 1) * 100;
  if (sign === "÷") return (1 / number - 1) * 100;
  return sign === "−" || sign === "-" ? -number : number;
}

// Up or down, texts come after all numbers, and cells without anything after both.
export function comparedCells(a, b, sign = 1) {
  const kindOf = (value) => (typeof value === "number" ? 0 : value ? 1 : 2);
  const [left, right] = [cellValue(a), cellValue(b)];
  return kindOf(left) - kindOf(right) || sign * (left < right ? -1 : left > right ? 1 : 0);
}

// The words that stand in few different cells of a column: verdicts, kinds, models.
export function choicesOf(texts) {
  const different = [...new Set(texts)].filter(Boolean);
  const short = different.every((text) => text.length <= 40 && /\p{L}/u.test(text) && typeof cellValue(text) === "string");
  return short && different.length > 1 && different.length <= 12 && texts.length >= 2 * different.length ? different.sort() : [];
}

function textOf(row, n) {
  return (row.cells[n]?.firstChild?.textContent ?? "").trim();
}

// Makes a table's heads sort it; the rows that are sorted, or null where it is read in its own order.
function sortedBy(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows];
  // A table with lines under lines, such as a comparison.
  const flat = rows.every((row) => textOf(row, 0) && !/\bd[1-9]\b/.test(row.cells[0].className));
  if (!flat) return null;
  const ends = rows.findLastIndex((row) => !row.classList.contains("strong")) + 1 || rows.length;
  const [others, last] = [rows.slice(0, ends), rows.slice(ends)]; // sums stay below
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
      others.sort((a, b) => comparedCells(textOf(a, n), textOf(b, n), sign));
      body.append(...others, ...last);
      announce(`sorted by ${button.textContent}, ${descending ? "descending" : "ascending"}`);
    });
  });
  table.classList.add("sortable");
  return others;
}

// A table, and what is between it and the heading above it.
function partOf(table) {
  const part = [];
  let at = table.parentElement;
  do {
    part.push(at);
    at = at.previousElementSibling;
  } while (at && !/^H[1-6]$/.test(part.at(-1).tagName) && !at.querySelector("table"));
  return part;
}

// A field and menus above the first of some tables that leave out rows of all of them.
function filtered(tables, rowsOf) {
  const others = tables.flatMap((table) => rowsOf.get(table));
  if (others.length < MANY) return;
  const parts = new Map(tables.map((table) => [table, tables.length > 1 ? partOf(table) : []]));
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
    for (const [table, part] of parts) {
      const none = rowsOf.get(table).every((row) => row.hidden);
      for (const element of part) element.hidden = none;
    }
    status.textContent = kept === others.length ? "" : `${kept} of ${others.length}`;
  };
  word.addEventListener("input", apply);
  tools.append(word);
  [...tables[0].tHead.rows[0].cells].forEach((head, n) => {
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
  (parts.get(tables[0]).at(-1) ?? tables[0].parentElement).before(tools);
}

// Tables that can be sorted; those with the same heads, such as those of each source, are filtered as one.
export function liveTables(tables) {
  const rowsOf = new Map();
  const alike = new Map();
  for (const table of tables) {
    const heads = table.tHead.textContent;
    const rows = sortedBy(table);
    if (!rows) continue;
    rowsOf.set(table, rows);
    alike.set(heads, [...(alike.get(heads) ?? []), table]);
  }
  for (const group of alike.values()) filtered(group, rowsOf);
}
