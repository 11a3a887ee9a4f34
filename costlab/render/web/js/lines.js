// Which lines of a tree are shown, and in which order: no page is needed for it.

import { amount } from "./numbers.js";

// The lists of the data with names, each line with its level and with what is in it.
export function linesOf(tree) {
  const lines = tree.lines.map(
    ([name, parent, family, operation, output, paths, numbers, derivations, verdict], id) =>
      ({ id, name, parent, family, operation, output, paths, numbers, derivations, verdict, level: 0, inside: [] }));
  for (const line of lines) {
    if (line.parent < 0) continue;
    line.level = lines[line.parent].level + 1;
    lines[line.parent].inside.push(line.id);
  }
  return lines;
}

export function pathOf(line) {
  return line.paths.find((path) => path) || line.name;
}

// The lines that are open at first: scopes above that depth.
export function openTo(lines, depth) {
  return new Set(lines.filter((line) => line.inside.length && line.level + 1 < depth).map((line) => line.id));
}

// The lines that a search finds, and those around them; null where nothing is searched for.
export function found(lines, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return null;
  const hits = new Set();
  const around = new Set();
  for (const line of lines) {
    const text = `${line.paths.join(" ")} ${line.operation} ${line.output} ${line.verdict}`.toLowerCase();
    if (!wanted.every((word) => text.includes(word))) continue;
    hits.add(line.id);
    for (let id = line.parent; id >= 0; id = lines[id].parent) around.add(id);
  }
  return { hits, around };
}

// A value to sort by: a text, or a number, of which an unknown one is the least.
export function sortValue(line, key) {
  if (key.measure === undefined) return key.column === "layer" ? pathOf(line) : line[key.column];
  const cell = line.numbers[key.network][key.measure];
  const value = amount(cell);
  if (key.against === undefined) return value === null ? -1n : value;
  const reference = amount(line.numbers[key.against][key.measure]);
  return (value || 0n) - (reference || 0n);
}

function compared(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// The numbers of the lines that are shown, in order. Siblings are sorted among themselves.
export function shownLines(lines, state) {
  const { open, search, sort, descending } = state;
  const order = (ids) => {
    if (!sort) return [...ids];
    const sign = descending ? -1 : 1;
    return [...ids].sort((a, b) => sign * compared(sortValue(lines[a], sort), sortValue(lines[b], sort)) || a - b);
  };
  const shown = [];
  const waiting = order(lines.filter((line) => line.parent < 0).map((line) => line.id)).reverse();
  while (waiting.length) {
    const id = waiting.pop();
    if (search && !search.hits.has(id) && !search.around.has(id)) continue;
    shown.push(id);
    const unfolded = open.has(id) || (search && search.around.has(id));
    if (unfolded) waiting.push(...order(lines[id].inside).reverse());
  }
  return shown;
}

// Of each line that is shown which one it is of those in the same scope, from 1, and of how many.
export function placesBeside(lines, shown) {
  const inside = new Map();
  for (const id of shown) {
    const { parent } = lines[id];
    if (!inside.has(parent)) inside.set(parent, []);
    inside.get(parent).push(id);
  }
  return new Map([...inside.values()].flatMap((ids) => ids.map((id, n) => [id, [n + 1, ids.length]])));
}
