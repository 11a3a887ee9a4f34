// Numbers as people read them: the same as costlab/formatting.py writes, exactly, of any size.

const SCALES = [["K", 3], ["M", 6], ["G", 9], ["T", 12]];

// What stands in the data: a number, a text of digits (≥ before a lower bound), or null.
export function amount(cell) {
  if (cell === null || cell === undefined) return null;
  const text = String(cell);
  return BigInt(text.startsWith("≥") ? text.slice(1) : text);
}

export function isBound(cell) {
  return typeof cell === "string" && cell.startsWith("≥");
}

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}

// n / d to the nearest, halves up.
function rounded(n, d) {
  return (2n * n + d) / (2n * d);
}

function fixed(n, d, digits) {
  const unit = 10n ** BigInt(digits);
  const all = rounded(n * unit, d);
  const whole = grouped(String(all / unit));
  return digits ? `${whole}.${String(all % unit).padStart(digits, "0")}` : whole;
}

function scaled(n) {
  if (n < 1000n) return String(n);
  for (const [letter, zeros] of SCALES) {
    const unit = 10n ** BigInt(zeros);
    for (const digits of [2, 1, 0]) {
      if (rounded(n * 10n ** BigInt(digits), unit) < 1000n) return `${fixed(n, unit, digits)} ${letter}`;
    }
  }
  return `${fixed(n, 10n ** 12n, 0)} T`;
}

export function inScale(n, scale) {
  if (scale === "exact") return grouped(String(n));
  if (scale === "auto") return scaled(n);
  const text = fixed(n, 10n ** BigInt(new Map(SCALES).get(scale)), 3);
  return n && text === "0.000" ? "<0.001" : text;
}

export function written(cell, scale) {
  const n = amount(cell);
  return n === null ? "?" : (isBound(cell) ? "≥" : "") + inScale(n, scale);
}

export function percent(part, whole) {
  if (!whole) return "-";
  if (!part) return "0%";
  if (part === whole) return "100%";
  if (!rounded(part * 1000n, whole)) return "<0.1%";
  if (rounded(part * 1000n, whole) === 1000n) return ">99.9%";
  return `${fixed(part * 100n, whole, 1)}%`;
}

// How a number compares with a reference: −57.8 %, ÷9.68, same.
export function change(reference, other) {
  if (other === reference) return "same";
  if (!other || !reference) return other ? "new" : "gone";
  const [low, high] = reference < other ? [reference, other] : [other, reference];
  if (high >= 3n * low) {
    let digits = high < 100n * low ? 2 : 0;
    while (!rounded((high - low) * 10n ** BigInt(digits), low)) digits += 1;
    return `${other > reference ? "×" : "÷"}${fixed(high, low, digits)}`;
  }
  let digits = 1;
  while (!rounded((high - low) * 100n * 10n ** BigInt(digits), reference)) digits += 1;
  return `${other > reference ? "+" : "−"}${fixed((high - low) * 100n, reference, digits)} %`;
}
