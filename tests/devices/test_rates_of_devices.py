"""The ledger of devices: every verdict is pinned, and what gives it is tested on its own."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from command_line import Run

from costlab.devices.derivation import derived_rate
from costlab.devices.device import (
    BANDWIDTH,
    TYPES,
    DeviceFigure,
    type_of,
)
from costlab.devices.files import device_named, devices, read
from costlab.devices.ledger import DeviceLedger, device_ledger
from costlab.devices.verdict import judge
from costlab.errors import FigureError, UnknownNameError


@pytest.fixture(scope="module")
def everything() -> DeviceLedger:
    return device_ledger()


def test_every_verdict_of_a_rate_is_the_recorded_one(everything: DeviceLedger) -> None:
    changed = [
        (row.device.id, row.figure.id, row.verdict, row.figure.verdict)
        for row in everything.rows
        if row.verdict != row.figure.verdict
    ]
    assert changed == []


def test_there_are_sixty_devices_of_all_kinds() -> None:
    known = devices()
    assert len(known) == len({device.id for device in known})
    assert sum(bool(device.copy) for device in known) >= 60
    kinds = {device.kind for device in known}
    assert kinds >= {"data-centre GPU", "desktop GPU", "accelerator", "phone", "board", "CPU"}


@pytest.mark.parametrize("device", devices(), ids=lambda device: device.id)
def test_a_device_names_its_document_and_has_a_rate(device: object) -> None:
    known = device_named(device.id)  # type: ignore[attr-defined]
    assert known.source is not None
    assert known.source.url.startswith("https://")
    assert any(known.rate(of) for of in TYPES)
    assert not known.read or known.read[0].isalnum()
    names = [figure.id for figure in known.figures]
    assert len(set(names)) == len(names)


def test_a_figure_without_a_copy_is_said_to_have_none(everything: DeviceLedger) -> None:
    without = {(row.device.id, row.figure.id) for row in everything.rows if not row.held}
    assert without >= {("epyc-9755", "float32"), ("max-1550", "int8"), ("a10", "float16")}
    assert all(row.device.copy or not row.held for row in everything.rows)
    text = device_ledger(("epyc-9755",)).to_text(100)
    assert "reproduced, no copy" in text
    assert "2 of them are not held against a copy" in " ".join(text.split())
    assert "no copy" not in device_ledger(("h100-sxm",)).to_text(100)
    held = {row["of"]: row["held"] for row in device_ledger(("max-1550",)).records()}
    assert (held["float32"], held["int8"]) == (True, False)


def test_torchs_table_is_judged_by_ours(everything: DeviceLedger) -> None:
    wrong = {
        (row.device.id, row.figure.id)
        for row in everything.rows
        if row.table and row.verdict == "not reproduced"
    }
    assert wrong >= {("h100-sxm", "float32"), ("l4", BANDWIDTH), ("l4", "bfloat16")}
    halved = next(row for row in everything.rows if row.table and row.figure.id == "float32")
    assert halved.derived == 132 * 128 * 2 * 1980 * 10**6


def test_torchs_table_is_quoted_as_it_stands(everything: DeviceLedger) -> None:
    info = pytest.importorskip("torch._inductor.analysis.device_info", reason="not in this torch")
    homes = {"h100-sxm": "NVIDIA H100", "a100-sxm": "NVIDIA A100", "l4": "NVIDIA L4"}
    homes |= {"mi210": "AMD MI210X", "mi300a": "AMD MI300A", "mi300x": "AMD MI300X"}
    homes |= {"mi350x": "AMD MI350X"}
    for row in everything.rows:
        if not row.table:
            continue
        theirs = info.lookup_device_info(homes[row.device.id])
        number = row.figure.number
        assert number is not None
        if row.figure.of == BANDWIDTH:
            assert number.value() == Fraction(theirs.dram_bw_gbs) * 10**9
            continue
        tops = {str(key).removeprefix("torch."): tops for key, tops in theirs.tops.items()}
        of = {"float8": "float8_e5m2"}.get(row.figure.of, row.figure.of)
        factor = 1 if row.figure.sparse else theirs.tops_sparsity_factor
        assert number.value() == Fraction(str(tops[of])) / factor * 10**12, row.figure


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("132 SMs · 4 tensor cores · 512 · 2 · 1830 MHz", 132 * 4 * 512 * 2 * 1830 * 10**6),
        ("384 bits · 21 Gb/s", 1008 * 10**9),
        ("2 channels · 64 bits · 8/3 Gb/s", Fraction(128 * 10**9, 3)),
        ("8 cores · 2 · 1 GHz + 4 cores · 1 GHz", 20 * 10**9),
        ("14 TFLOPS · 8", 112 * 10**12),
    ],
)
def test_what_units_and_clocks_make(text: str, rate: int | Fraction) -> None:
    assert derived_rate(text) == rate


@pytest.mark.parametrize("text", ["", "many SMs", "2 · 1830 mhz Hz", "3 GB/s", "1 / 0", "2 ·"])
def test_what_is_no_derivation(text: str) -> None:
    with pytest.raises(FigureError, match="in a derivation"):
        derived_rate(text)


@pytest.mark.parametrize(
    ("printed", "derived", "because", "verdict"),
    [
        ("82.6 TFLOPS", "128 SMs · 128 lanes · 2 · 2520 MHz", "", "reproduced"),
        ("40 TOPS", "32 tensor cores · 1024 · 2 · 625 MHz", "", "truncated"),
        ("3350 GB/s", "192 bits · 12.5 Gb/s", "", "not reproduced"),
        ("112 TFLOPS", "80 · 512 · 2 · 1380 MHz", "14 TFLOPS · 8", "another figure"),
        ("112 TFLOPS", "80 · 512 · 2 · 1380 MHz", "14 TFLOPS · 7", "not reproduced"),
        ("46 TFLOPS", "", "", "not derived"),
        ("", "64 bits · 3.2 Gb/s", "", "not printed"),
        ("2.3 PFLOPS", "256 CUs · 4096 · 2200 MHz", "", "reproduced"),
    ],
)
def test_a_verdict_on_a_rate(printed: str, derived: str, because: str, verdict: str) -> None:
    figure = DeviceFigure("float16", printed, derived, because=because)
    assert judge(devices()[0], figure).verdict == verdict


def test_a_rate_is_the_larger_one_and_of_all_weights() -> None:
    t4, l4, phone = (device_named(name) for name in ("t4", "l4", "apple-a14-ane"))
    assert (rate := t4.rate(BANDWIDTH))
    assert rate.value == 320 * 10**9  # 300 are printed
    assert l4.peak("bfloat16").value == 58 * 4 * 256 * 2040 * 10**6
    assert "half of sparse" in l4.peak("bfloat16").how
    assert phone.rate(BANDWIDTH) is None
    with pytest.raises(FigureError, match=r"no rate of float32: give --dtype .* float16$"):
        phone.peak("float32")


def test_types_of_torch_are_types_of_rates() -> None:
    assert [type_of(name) for name in ("float8_e4m3fn", "quint8", "uint8", "bfloat16")] == [
        *("float8", "int8", "int8", "bfloat16")
    ]


def test_a_device_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    device = """[[device]]
id = "box"
name = "My box"
figures = [{ of = "float32", derived = "8 cores · 16 lanes · 2 · 3 GHz" }]
"""
    path.write_text(device, encoding="utf-8")
    assert device_named(str(path)).peak("float32").value == 768 * 10**9
    path.write_text(device + device.replace("box", "other"), encoding="utf-8")
    assert device_named(f"{path}:other").id == "other"
    with pytest.raises(UnknownNameError, match="unknown device of"):
        device_named(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no device"),
        ("[[device]]\nid = 'a'\nname = 'A'", "device a: figures is missing"),
        ("[[device]]\nid = 'a'\nname = 'A'\nfigures = [{ of = 'float31' }]", "unknown rate"),
        ("[[device]]\nid = 'a'\nname = 'A'\nfigures = [{ of = 'int8' }]", "give what is printed"),
        ("[[device]]\nid = 'a'\nname = 'A'\nfigures = [{ of = 'int8', print = 1 }]", "'printed'"),
        ("[[device]]\nid = 'a'\nname = 'A'\nfigures = [{ of = 'int8', printed = 1 }]", "text"),
        ("[[device]]\nname = 'A'", "device 1: id is missing"),
        ("[[device", "not valid TOML"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((FigureError, UnknownNameError), match=message):
        read(path)


def test_the_command_lists_and_judges(costlab: Run) -> None:
    listed = costlab("devices")
    assert (listed.returncode, "h100-sxm" in listed.stdout) == (0, True)
    judged = costlab("devices", "rtx-20*", "torch", "--format", "json")
    assert judged.returncode == 0
    rows = json.loads(judged.stdout)["figures"]
    assert {row["device"] for row in rows if not row["table"]} == {
        *("rtx-2070", "rtx-2080", "rtx-2080-ti")
    }
    assert any("turing" in row["source"] for row in rows)
    read = costlab("devices", "tpu-v3", "epyc-9755", "--format", "json")
    copies = {row["device"]: row["read"] for row in json.loads(read.stdout)["figures"]}
    assert copies["tpu-v3"].startswith("docs.cloud.google.com")
    assert copies["epyc-9755"] == ""
    unknown = costlab("devices", "h100")
    assert unknown.returncode == 2
    assert "did you mean" in unknown.stderr


def test_a_verdict_that_changed_fails_the_command(costlab: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[[device]]\nid = 'a'\nname = 'A'\nfigures = [{ of = 'int8', printed = '2 TOPS', "
        "derived = '2 · 1 GHz', verdict = 'reproduced' }]",
        encoding="utf-8",
    )
    done = costlab("devices", str(path))
    assert done.returncode == 1
    assert "the verdict is 'not reproduced', recorded is 'reproduced'" in done.stdout
