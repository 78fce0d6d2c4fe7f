"""Fail where a test was skipped for want of torch: reads the junit report that pytest wrote."""

import sys
from pathlib import Path
from xml.etree import ElementTree


def skipped_for_torch(report: str) -> list[str]:
    """Return the tests (and modules) of a junit report whose skip message names torch; ValueError for an empty one."""
    cases = list(ElementTree.fromstring(report).iter("testcase"))
    if not cases:
        raise ValueError("the report holds no test; expected what `pytest --junit-xml` writes")
    return [
        ".".join(filter(None, (case.get("classname"), case.get("name"))))
        for case in cases
        for skip in case.iter("skipped")
        if "torch" in f"{skip.get('message', '')} {skip.text or ''}".lower()
    ]


if __name__ == "__main__":
    names = skipped_for_torch(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit("\n".join(["skipped for want of torch:", *names]) if names else 0)
