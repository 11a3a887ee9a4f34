"""Pages in a browser: bytes, requests, and how long until all is drawn; how a long table scrolls.

    .venv/bin/pip install -c constraints.txt -e '.[browser,pages]'
    .venv/bin/python benchmarks/pages.py [FILE.html ...]

Pages of other tools, of the same model, are given as files. docs/pages.md says how those were made.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tabulate import tabulate

import costlab
from costlab.costs.table import costs
from costlab.graph import Net
from costlab.ops.conv import Conv

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_ROUNDS = 5
_STILL = 1500
"""Milliseconds without a change: then all is drawn."""

_STEPS = (20, 100, 400)
"""Pixels of a frame while the table is scrolled: by hand, fast, and very fast."""

_WATCH = """
globalThis.lastChange = 0;
new MutationObserver(() => { globalThis.lastChange = performance.now(); })
  .observe(document, { subtree: true, childList: true, attributes: true });
"""
_QUIET = "performance.now() - lastChange"
_SCROLL = """async ([step, frames]) => {
  const box = document.querySelector(".live .scroll");
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const [times, long] = [[], []];
  new PerformanceObserver((list) => long.push(...list.getEntries())).observe({ type: "longtask" });
  box.scrollTop = 0;
  await frame();
  for (let last = performance.now(); times.length < frames;) {
    box.scrollTop += step;
    await frame();
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  await frame();
  return [times, long.length];
}"""
_FRAMES = 150
_WORK = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
"""What the browser's main thread does of a frame, as its own metrics have it."""


def long(layers: int) -> costlab.CostTable:
    """A network of so many layers, one after the other."""
    net = Net("long", (1, 1, 1, 1))
    (x,) = net.inputs
    for number in range(layers):
        x = net.add(f"conv{number}", Conv(1, 1), x)
    return costs(net.graph(x))


def pages(folder: Path) -> Iterator[Path]:
    """Ours, and those that are given."""
    for name, table in (("googlenet", costlab.analyze("googlenet")), ("long", long(10_000))):
        file = folder / f"costlab-{name}.html"
        file.write_text(table.to_html(), encoding="utf-8")
        yield file
    yield from map(Path, sys.argv[1:])


def drawn(browser: Browser, file: Path) -> tuple[float, int]:
    """Milliseconds from the start until nothing changes any more, and how much was asked for."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(_WATCH)
    page.goto(file.resolve().as_uri())
    while page.evaluate(_QUIET) < _STILL:
        page.wait_for_timeout(100)
    time = page.evaluate("lastChange")
    page.close()
    return time, sum(not url.startswith(("data:", "blob:")) for url in requests) - 1


_HEADS = ["pixels a frame", "median ms", "95 % ms", "worst ms", "tasks above 50 ms"]
_HEADS += ["script ms", "style ms", "layout ms"]


def scrolled(page: Page, step: int) -> list[float]:
    """Frames while the table is scrolled, and the work of the main thread for one of them."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def work() -> list[float]:
        metrics = session.send("Performance.getMetrics")["metrics"]
        values = {metric["name"]: 1000 * metric["value"] for metric in metrics}
        return [values[name] for name in _WORK]

    before = work()
    times, long_tasks = page.evaluate(_SCROLL, [step, _FRAMES])
    worked = [(b - a) / _FRAMES for a, b in zip(before, work(), strict=True)]
    times.sort()
    parts = [times[_FRAMES // 2], times[_FRAMES * 95 // 100], times[-1]]
    return [step, *parts, long_tasks, *worked]


def main() -> None:
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        files = list(pages(Path(folder)))
        seen: dict[Path, list[tuple[float, int]]] = {file: [] for file in files}
        for _ in range(_ROUNDS):
            for file in files:
                seen[file].append(drawn(browser, file))
        rows = [
            (
                file.name,
                f"{file.stat().st_size:,}",
                max(requests for _, requests in times),
                round(median(time for time, _ in times)),
            )
            for file, times in seen.items()
        ]
        print(tabulate(rows, ["page", "bytes", "requests", "ms until drawn"]), end="\n\n")
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto((Path(folder) / "costlab-long.html").as_uri())
        page.locator("table[role=treegrid]").wait_for()
        print(tabulate([scrolled(page, step) for step in _STEPS], _HEADS, floatfmt=".1f"))
        print(page.evaluate("document.querySelectorAll('*').length"), "elements in the page")
        browser.close()


if __name__ == "__main__":
    main()
