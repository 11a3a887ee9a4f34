"""Names that would run something in a page, or turn its reading around, run nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from browsing import opened, row_names, written
from command_line import Run
from torch import nn

import costlab as library
from costlab.devices.files import device_named
from costlab.devices.ledger import DeviceList
from costlab.render.document import Document, Paragraph, Record
from costlab.render.plots import Axis, Scatter, Step, Waterfall
from costlab.render.result import Result
from costlab.timing.result import Timing
from costlab.timing.samples import Interval
from costlab.timing.timed import LayerTime, Timed

if TYPE_CHECKING:
    from playwright.sync_api import Browser


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '" onmouseover="alert(3)" x="',
    "{{ 7 * 7 }}${alert(4)}",
    "=HYPERLINK(1)\u202egnp\x1b[31m",
    "__proto__",
    "constructor",
)


def hostile_net() -> nn.Module:
    """A module with each of the names for a scope, and for a layer in it."""
    net = nn.Sequential()
    for name in HOSTILE:
        inner = nn.Sequential()
        inner.add_module(name, nn.Linear(3, 3))
        net.add_module(name, inner)
    return net


def test_hostile_names_run_nothing(chromium: Browser, tmp_path: Path) -> None:
    table = library.analyze(hostile_net(), (1, 3))
    with opened(chromium, written(tmp_path, table)) as page:
        page.get_by_role("button", name="unfold all").click()
        shown = row_names(page)
        assert len(shown) == 14
        assert shown[:2] == [HOSTILE[0]] * 2
        assert "{{ 7 * 7 }}${alert(4)}" in shown
        for row in page.locator("tr[data-id]").all():
            row.click()
        for cell in page.locator("svg.icicle g").all():
            cell.hover()
        page.get_by_role("button", name="MACs", exact=True).click()
        assert page.locator("script").count() == 2
        assert page.locator("img").count() == 0


def hostile_results() -> dict[str, Result]:
    """What has names in it of layers, models and devices, each in a page of another kind."""
    net, label = hostile_net(), HOSTILE[1]
    device = replace(device_named("h100-sxm"), id=label, name=HOSTILE[0], kind=HOSTILE[3])
    bound = library.bounds(net, (1, 3), device=device)
    part = bound.fused
    took = Interval(2.0, 1.0, 3.0)
    layers = (LayerTime(HOSTILE[0], took, part), LayerTime(label, took, part))
    timed = Timed(label, 9, took, took, 9, part, None, layers)
    linear: Any = type(label, (nn.Linear,), {})
    first, second = (library.formula(linear(3, n), input_size=("N", 3)) for n in (4, 5))
    return {
        "memory": library.memory(net, (1, 3), training=True),
        "bounds": bound,
        "time": Timing((timed,), HOSTILE[0], 1, label, label, {"torch": "2"}, (label,), 1),
        "devices": DeviceList((device, device)),
        "formula": first.compared(second),
        "crosscheck": library.crosscheck(net, (1, 3), counters="torch"),
        "reconcile": library.reconcile(net, (1, 3), counters="torch"),
    }


def test_hostile_names_run_nothing_in_other_pages(chromium: Browser, tmp_path: Path) -> None:
    for kind, result in hostile_results().items():
        with opened(chromium, written(tmp_path, result)) as page:
            text = page.locator("body").inner_text()
            assert "alert(" in text or kind == "reconcile"
            assert "\u202e" not in text
            page.locator("circle, tbody tr, rect, thead button").evaluate_all(
                "(all) => all.forEach((one) => one.dispatchEvent(new MouseEvent('click')))"
            )
            assert page.locator("script").count() == 2
            assert page.locator("img").count() == 0


def test_hostile_labels_and_titles_run_nothing(
    chromium: Browser, costlab: Run, tmp_path: Path
) -> None:
    """What pages say of labels, of sources of figures and of what was varied."""
    label = "<img src=x onerror=alert(5)></script><script>alert(6)</script>"
    both = library.compare("naive", "reduced", names=[label, HOSTILE[2]], trace=False)
    source = tmp_path / "source.toml"
    quoted = json.dumps(label)
    source.write_text(
        f"name = {quoted}\nurl = 'javascript:alert(7)'\n[[figure]]\nid = 'a'\nat = {quoted}\n"
        f"says = {quoted}\nprinted = '1'\nunit = {quoted}\nquantity = 'macs'\nmodel = 'naive'\n"
        "verdict = 'not reproduced'\n",
        encoding="utf-8",
    )
    page_of_figures = tmp_path / "figures.html"
    done = costlab("figures", str(source), "-o", str(page_of_figures))
    assert done.returncode == 0, done.stderr
    points = Scatter(
        label, (Axis(label, label, (1, 2)), Axis("b", label, (2, 1))), (label,) * 2, 0, 1
    )
    falls = Waterfall(label, (Step(label, 0, 1), Step(label, 1, 2), Step(label, 0, 2)))
    for file in (
        written(tmp_path, both),
        page_of_figures,
        written(tmp_path, Drawings(points, falls)),
    ):
        with opened(chromium, file) as page:
            assert label[:20] in page.locator("body").inner_text()
            for place in page.locator("circle, tbody tr, .block").all():
                place.dispatch_event("click")
            for choice in page.locator("select").all():
                choice.select_option(index=1)
            assert page.locator("script").count() == 2
            assert page.locator("img, a[href^=javascript]").count() == 0


class Drawings(Result):
    """A result that is points and steps."""

    def __init__(self, *blocks: Any) -> None:
        self.blocks = blocks

    def document(self) -> Document:
        return (Paragraph(self.blocks[0].title),)

    def page(self) -> Any:
        return (*self.document(), *self.blocks)

    def records(self) -> list[Record]:
        return []

    def data(self) -> dict[str, Any]:
        return {}
