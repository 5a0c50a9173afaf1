"""The list of what a day of use found: docs/lab.md names the test that keeps each entry mended."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
LABELS = [f"{part}{i}" for part, count in (("R", 21), ("U", 23), ("N", 9), ("P", 11)) for i in range(1, count + 1)]


def test_every_finding_has_a_test_that_exists() -> None:
    """Each label stands in one row of the table, and each row names tests that there are."""
    text = (ROOT / "docs" / "lab.md").read_text()
    section = text.split("what a day of use found, and the test that keeps it mended\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:[RUNP]\d+(?:, )?)+) \|.*\| (`test_.*`) \|$", section, re.MULTILINE)
    assert sorted(label for labels, _ in rows for label in labels.split(", ")) == sorted(LABELS)
    files = [path.read_text() for path in (ROOT / "tests").glob("**/test_*.py")]
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file)}
    named = {name for _, tests in rows for name in re.findall(r"`(test_\w+)`", tests)}
    assert named <= there, named - there
