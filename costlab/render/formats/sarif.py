"""SARIF 2.1.0, which code scanning reads: what is wrong, and where it was written."""

from __future__ import annotations

from typing import Any

from costlab.render.document import Finding, Showable
from costlab.render.format import Format, Screen, writing
from costlab.version import __version__

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def _text(result: Showable, screen: Screen) -> str:
    """One run of one tool; a result for each finding."""
    import json  # where it is needed: a first answer does not wait for it

    rule = {"id": "limit", "shortDescription": {"text": "A model costs more than its limit."}}
    driver = {"name": "costlab", "version": __version__, "rules": [rule]}
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding) for finding in result.findings()],
    }
    record = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(record, indent=2) + "\n"


def _result(finding: Finding) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": finding.file},
        "region": {"startLine": finding.line},
    }
    return {
        "ruleId": "limit",
        "level": "error",
        "message": {"text": f"{finding.title}: {finding.text}"},
        "locations": [{"physicalLocation": place}] if finding.file else [],
    }


FORMAT = Format("sarif", ("sarif",), "code scanning", "findings", writing(_text))
