"""The benchmarks run, on data so small that it says nothing about speed; no time is asserted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import report
from bench.__main__ import main
from bench.measure import Figure, Pair, Row, Target, measure, seconds, timed
from bench.rows import ROWS, chosen
from bench.samples import intents
from bench.setting import Setting
from intentstore.codec import encode_intent


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_measures_floor_and_ours(row: Row, tmp_path: Path) -> None:
    setting = Setting(tmp_path, n=20, rounds=2)
    with setting.kept:
        figure = measure(row, setting)
    assert figure.error == ""
    assert figure.name == row.name
    assert figure.rounds == 2
    assert figure.floor > 0 < figure.ours
    assert figure.ratio_low <= figure.ratio <= figure.ratio_high
    assert report.cells(figure)[-1] in ("met", "missed")


def test_names_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_samples_are_the_same_at_every_run_and_about_a_kilobyte() -> None:
    once, again = ([encode_intent(intent) for intent in intents(100)] for _ in range(2))
    assert once == again
    assert 900 < sum(map(len, once)) / 100 < 1200


def test_floor_and_ours_take_turns() -> None:
    said: list[str] = []

    @contextmanager
    def prepare(_: Setting) -> Iterator[Pair]:
        yield Pair(timed(lambda: said.append("floor")), timed(lambda: said.append("ours")))

    figure = measure(Row("x", "", "", Target(1.0), prepare), Setting(Path(), rounds=3))
    assert figure.rounds == 3
    assert said == ["floor", "ours"] * 4  # once to warm up


def test_a_row_that_breaks_says_why() -> None:
    def prepare(_: Setting) -> object:
        raise RuntimeError("no disk")

    figure = measure(Row("x", "", "", Target(1.0), prepare), Setting(Path()))  # type: ignore[arg-type]  # breaks
    assert figure.error == "RuntimeError: no disk"
    assert "not measured" in report.table([figure])


def test_rows_are_chosen_by_name_and_family() -> None:
    assert [row.name for row in chosen("get/sqlite, open")] == ["get/sqlite", "open/file", "open/sqlite"]
    assert chosen("") == list(ROWS)
    with pytest.raises(LookupError, match="no row 'fly'"):
        chosen("get,fly")


def test_the_table_is_aligned() -> None:
    figures = [
        Figure("a", "≤ 2 x floor", 3, 1.0, 2.0, 2.0, 2.0, 1.5, 2.5, met=True),
        Figure("long/name", "≤ 3 s", error="E"),
    ]
    header, first, *_ = report.table(figures).splitlines()
    assert first.index("≤") == header.index("target")
    assert first.endswith("met")


@pytest.mark.parametrize(("length", "said"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (4.5e-6, "4.5 µs"), (3e-8, "30 ns")])
def test_times_read_well(length: float, said: str) -> None:
    assert seconds(length) == said


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--rows", "get/memory", "--n", "20", "--rounds", "2", "--dir", str(tmp_path)]
    assert main([*words, "--json", str(tmp_path / "figures.json")]) == 0
    assert "get/memory" in capsys.readouterr().out
    found = json.loads((tmp_path / "figures.json").read_bytes())
    assert found["n"] == 20
    assert [row["name"] for row in found["rows"]] == ["get/memory"]
    assert set(found["machine"]) == {"cores", "system", "processor", "python", "sqlite", "file_system"}


def test_an_unknown_row_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "fly"]) == 2
    assert "there is no row 'fly'" in capsys.readouterr().err


def test_the_page_names_no_path(tmp_path: Path) -> None:
    figures = [Figure(row.name, str(row.target), 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, met=True) for row in ROWS]
    page = report.page(figures, ROWS, n=20, folder=tmp_path)
    assert str(tmp_path) not in page
    assert all(row.name in page for row in ROWS)
