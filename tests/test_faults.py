"""The fault table in its short profile: every row in a process of its own, no trial bad, no mistake uncaught.

``make faults`` runs the long one. What a machine cannot run is skipped with its reason, never passed over.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from intentstore.testing.faults import Report
from tests.faults.__main__ import told
from tests.faults.rows import ROWS


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_no_fault_of_the_table_loses_or_alters_what_was_acknowledged(name: str, tmp_path: Path) -> None:
    # Not measured for coverage: it would take three times as long and finds no line that other tests do not.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    command = [sys.executable, "-m", "tests.faults", name, "--here", "--json", str(tmp_path / "report.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode in (0, 1), done.stderr
    report = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report)
    bad = [told(finding) for finding in report.findings if finding.bad]
    assert not bad, "\n".join(bad)
    not_run = {finding.missing for finding in report.findings if finding.missing}
    if not_run:
        pytest.skip(f"not run: {', '.join(map(str, not_run))}")
