// Places of the blocks of a graph, in layers from its inputs down, scope inside of scope.

const CHARACTER = 6.6; // how wide one is in a block
const PADDING = 8;
const BETWEEN = 16;
const GAP = 34; // room for the shape below a block
const SPREAD = 16; // more of it, where lines part or meet
export const LINE = 15;
export const TITLE = 18; // of an open scope
const RIM = -1;

// Numbers as near as can be to what is wanted, each as far from the one before it as it has to be:
// neighbours that would come too near are moved as one.
export function apart(wanted, distances, weights) {
  const offsets = [];
  wanted.forEach((_, n) => offsets.push(n ? offsets[n - 1] + distances[n - 1] : 0));
  const groups = [];
  wanted.forEach((place, n) => {
    groups.push({ place: place - offsets[n], weight: weights[n], count: 1 });
    while (groups.length > 1 && groups.at(-2).place > groups.at(-1).place) {
      const [a, b] = groups.splice(-2);
      const weight = a.weight + b.weight;
      groups.push({ place: (a.place * a.weight + b.place * b.weight) / weight, weight, count: a.count + b.count });
    }
  });
  return groups.flatMap(({ place, count }) => Array(count).fill(place)).map((place, n) => place + offsets[n]);
}

function sizeOf(block, sign) {
  const letters = Math.max(...block.texts.map((text, n) => text.length + (n ? 0 : sign)));
  return [letters * CHARACTER + 2 * PADDING, block.texts.length * LINE + PADDING];
}

// The order in each layer: by where that stands which it is linked with, above and below in turns.
function ordered(layers, above, below) {
  const places = new Map();
  const note = () => layers.forEach((nodes) => nodes.forEach((node, n) => places.set(node, n)));
  note();
  for (let turn = 0; turn < 8; turn += 1) {
    const [linked, all] = turn % 2 ? [below, [...layers].reverse()] : [above, layers];
    for (const nodes of all) {
      const middle = new Map(nodes.map((node) => {
        const others = linked.get(node) ?? [];
        return [node, others.length ? others.reduce((sum, [other]) => sum + places.get(other), 0) / others.length : places.get(node)];
      }));
      nodes.sort((a, b) => middle.get(a) - middle.get(b) || places.get(a) - places.get(b));
      nodes.forEach((node, n) => places.set(node, n));
    }
  }
}

// What is in a scope, with places from its left and top: blocks, of which those that are open have
// their own inside; lines; and where the gates of its rim are. `isOpen` says it of a path.
export function laidOut(insides, number, isOpen) {
  const { blocks, scopes, links, entries, exits } = insides[number];
  const nodes = blocks.map(([path, family, ...texts], n) => {
    const block = { path, family, texts };
    const foldable = scopes[n] !== null;
    const [width, height] = sizeOf(block, foldable ? 2 : 0);
    if (!foldable || !isOpen(block.path)) return { block, foldable, width, height };
    const inner = laidOut(insides, scopes[n], isOpen);
    return { block, foldable, inner, width: Math.max(inner.width, width), height: inner.height + TITLE };
  });
  const from = { entries: nodes.length, exits: nodes.length + entries, bends: nodes.length + entries + exits };
  while (nodes.length < from.bends) nodes.push({ width: 2, height: 0 });
  const lines = new Map(); // those to and from a folded scope are one
  for (const [source, sourceGate, target, targetGate, shape] of links) {
    const [first, exit] = source === RIM ? [from.entries + sourceGate, 0] : [source, sourceGate];
    const [other, entry] = target === RIM ? [from.exits + targetGate, 0] : [target, targetGate];
    const gates = [nodes[first].inner ? exit : 0, nodes[other].inner ? entry : 0];
    const key = [first, other, ...gates].join();
    if (!lines.has(key)) lines.set(key, { source: first, target: other, exit: gates[0], entry: gates[1], shapes: new Set(), bends: [] });
    lines.get(key).shapes.add(shape);
  }
  for (const line of lines.values()) {
    const between = line.source < from.entries && line.target < from.exits; // what leaves has its shape outside
    line.label = between ? [...line.shapes].join(", ") : "";
    const first = nodes[line.source];
    first.right = Math.max(first.right ?? 0, leaves(first, line.exit) + 6 + line.label.length * CHARACTER);
  }
  return drawn(nodes, [...lines.values()], from, placed(nodes, [...lines.values()], from));
}

// Where a line leaves or meets a node, from the node's middle.
function leaves(node, exit) {
  return node.inner ? node.inner.exits[exit] - node.inner.width / 2 : 0;
}

function meets(node, entry) {
  return node.inner ? node.inner.entries[entry] - node.inner.width / 2 : 0;
}

// Gives all nodes a layer and a place, and long lines a bend in each layer; says how high it all is.
function placed(nodes, lines, from) {
  // What runs first comes first. Only scopes that are called in turns give something back.
  const early = (n) => (n >= from.exits ? n : n >= from.entries ? n - nodes.length : n);
  const forward = lines.filter(({ source, target }) => early(source) < early(target));
  for (const node of nodes) Object.assign(node, { layer: 0, x: 0 });
  for (const { source, target } of [...forward].sort((a, b) => early(a.source) - early(b.source))) {
    nodes[target].layer = Math.max(nodes[target].layer, nodes[source].layer + 1);
  }
  const last = Math.max(...nodes.map((node) => node.layer));
  for (const node of nodes.slice(from.exits)) node.layer = last;
  const layers = Array.from({ length: last + 1 }, () => []);
  nodes.forEach((node, n) => layers[node.layer].push(n));
  const [above, below] = [new Map(), new Map()];
  const link = (a, begin, b, end) => {
    below.set(a, [...(below.get(a) ?? []), [b, end - begin]]);
    above.set(b, [...(above.get(b) ?? []), [a, begin - end]]);
  };
  for (const line of forward) {
    let [before, begin] = [line.source, leaves(nodes[line.source], line.exit)];
    for (let layer = nodes[line.source].layer + 1; layer < nodes[line.target].layer; layer += 1) {
      line.bends.push(nodes.push({ width: 2, height: 0, layer, x: 0 }) - 1);
      layers[layer].push(line.bends.at(-1));
      link(before, begin, line.bends.at(-1), 0);
      [before, begin] = [line.bends.at(-1), 0];
    }
    link(before, begin, line.target, meets(nodes[line.target], line.entry));
  }
  ordered(layers, above, below);
  settled(nodes, layers, above, below, from);
  let y = 0;
  const isGate = (n) => n >= from.entries && n < from.bends;
  layers.forEach((numbers, layer) => {
    const height = Math.max(...numbers.map((n) => nodes[n].height));
    const next = layers[layer + 1] ?? [];
    for (const n of numbers) Object.assign(nodes[n], { y: y + (height - nodes[n].height) / 2, top: y, bottom: y + height });
    y += height;
    if (!next.length) return;
    const gates = numbers.every(isGate) || next.every(isGate);
    y += (gates ? PADDING : GAP) + (numbers.length + next.length > 2 ? SPREAD : 0);
  });
  return y + (from.exits < from.bends ? 0 : PADDING);
}

// Moves nodes along their layers to below and above what they are linked with.
function settled(nodes, layers, above, below, from) {
  const middle = (n, linked) => {
    const others = linked.flatMap((all) => all.get(n) ?? []);
    return others.length ? others.reduce((sum, [other, aside]) => sum + nodes[other].x + aside, 0) / others.length : nodes[n].x;
  };
  const settle = (numbers, ...linked) => {
    const distances = numbers.slice(1).map((n, index) => rightOf(nodes[numbers[index]]) + nodes[n].width / 2 + BETWEEN);
    const weights = numbers.map((n) => (n >= from.bends ? 4 : 1)); // long lines are straight
    const places = apart(numbers.map((n) => middle(n, linked)), distances, weights);
    numbers.forEach((n, index) => { nodes[n].x = places[index]; });
  };
  for (let turn = 0; turn < 4; turn += 1) {
    for (const numbers of layers) settle(numbers, above);
    for (const numbers of [...layers].reverse()) settle(numbers, below);
  }
  for (const numbers of layers) settle(numbers, above, below);
}

function rightOf(node) {
  return Math.max(node.width / 2, node.right ?? 0);
}

function drawn(nodes, lines, from, height) {
  const left = Math.min(...nodes.map((node) => node.x - node.width / 2)) - PADDING;
  const right = Math.max(...nodes.map((node) => node.x + rightOf(node))) + PADDING;
  const labelled = new Set();
  const paths = lines.map(({ source, target, exit, entry, bends, label }) => {
    const [first, other] = [nodes[source], nodes[target]];
    const [begin, end] = [first.x + leaves(first, exit) - left, other.x + meets(other, entry) - left];
    // Straight down past what is higher in the same layer.
    const points = [
      [begin, first.y + first.height], [begin, first.bottom],
      ...bends.flatMap((n) => [[nodes[n].x - left, nodes[n].top], [nodes[n].x - left, nodes[n].bottom]]),
      [end, other.top], [end, other.y + (other.inner ? TITLE : 0)],
    ];
    const key = `${source} ${exit} ${label}`;
    const again = labelled.has(key);
    labelled.add(key);
    // At the rim, and inside of a scope that is open, the line goes on.
    return { points, label: again ? "" : label, arrow: target < from.entries && !other.inner };
  });
  const gates = (begin, end) => nodes.slice(begin, end).map((node) => node.x - left);
  return {
    width: right - left,
    height,
    lines: paths,
    blocks: nodes.slice(0, from.entries).map((node) => ({ ...node, x: node.x - node.width / 2 - left })),
    entries: gates(from.entries, from.exits),
    exits: gates(from.exits, from.bends),
  };
}
