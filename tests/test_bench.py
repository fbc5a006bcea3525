"""The benchmarks run, on data so small that it says nothing about speed; no time is asserted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import compare, plots, report, scale, shape
from bench.__main__ import main
from bench.fit import fitted
from bench.measure import Absent, Figure, Pair, Row, Target, measure, seconds, timed
from bench.rows import ROWS, chosen
from bench.rows.concurrent import together
from bench.samples import intents
from bench.scaled import Scaled
from bench.setting import Setting
from intentstore import Link, Put, open_graph
from intentstore.codec import encode_intent


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_measures_floor_and_ours(row: Row, tmp_path: Path) -> None:
    setting = Setting(tmp_path, n=20, rounds=2)
    with setting.kept:
        figure = measure(row, setting)
    if figure.absent:  # peers are installed for `make bench` only
        pytest.skip(figure.error)
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
    assert set(found["machine"]) == {
        "cores",
        "system",
        "processor",
        "python",
        "sqlite",
        "file_system",
        "kernel",
        "libraries",
    }


def test_an_unknown_row_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "fly"]) == 2
    assert "there is no row 'fly'" in capsys.readouterr().err


def test_the_section_names_no_path_and_holds_every_row(tmp_path: Path) -> None:
    figures = [Figure(row.name, str(row.target), 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, met=True) for row in ROWS]
    told = report.section(figures, ROWS, n=20, folder=tmp_path)
    assert str(tmp_path) not in told
    assert all(row.name in told for row in ROWS)


def test_what_people_wrote_around_the_figures_stays() -> None:
    page = "Before.\n<!-- rows: generated -->\nold\n<!-- rows: end -->\nAfter.\n"
    told = report.put_between(page, "rows", "new")
    assert told == "Before.\n<!-- rows: generated -->\n\nnew\n\n<!-- rows: end -->\nAfter.\n"
    with pytest.raises(LookupError, match="no marks"):
        report.put_between(page, "scale", "new")


def test_the_page_has_the_marks_of_both_runners() -> None:
    page = report.DOCS.read_text(encoding="utf-8")
    for name in ("rows", "scale"):
        assert "figures" in report.put_between(page, name, "figures")


def test_a_peer_that_is_not_there_is_no_failure() -> None:
    def prepare(_: Setting) -> object:
        raise Absent("x is not installed")

    figure = measure(Row("peer/x/get", "", "", Target(1.0, "peer"), prepare), Setting(Path()))  # type: ignore[arg-type]  # is away
    assert figure.absent
    assert figure.error == "not run: x is not installed"
    assert report.cells(figure)[-1] == "not run"


def test_what_goes_wrong_in_a_thread_breaks_the_row() -> None:
    def broken() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        together([broken, lambda: None], [], 1)()


@pytest.mark.parametrize("storage", ["memory", "file", "sqlite", "postgresql"])
def test_every_storage_is_scaled(storage: str, tmp_path: Path) -> None:
    found = [scale.scaled(storage, n, str(tmp_path)) for n in (30, 60)]
    assert [each.error for each in found] == ["", ""]
    assert all(each.store > 0 < each.claim and each.edges > each.n for each in found)
    told = scale.section(found, tmp_path)
    assert storage in told
    assert str(tmp_path) not in told


def test_figures_of_all_sizes_are_written_with_small_pictures(tmp_path: Path) -> None:
    docs = tmp_path / "performance.md"
    docs.write_text("<!-- scale: generated -->\n<!-- scale: end -->\n", encoding="utf-8")
    found = [Scaled(storage, n, edges=2 * n, store=n / 1e6) for storage in ("a", "b") for n in (1000, 10_000)]
    scale.write(found, str(tmp_path), docs)
    assert "+1.00" in docs.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "scale.json").read_bytes())["figures"]
    drawn = list((tmp_path / "plots").glob("*.svg"))
    assert len(drawn) == len(plots.DRAWN)
    assert all(0 < path.stat().st_size < 10_000 for path in drawn)


def test_a_generated_graph_has_the_fitted_shape() -> None:
    changes = [change for batch in shape.batches(2000) for change in batch.changes]
    goals = [change.intent for change in changes if isinstance(change, Put)]
    edges = Counter(str(change.edge.type) for change in changes if isinstance(change, Link))
    fitted = shape.figures()
    done = sum(goal.status == "completed" for goal in goals) / len(goals)
    assert abs(done - fitted["status"]["completed"]) < 0.05
    assert abs(edges["is_subgoal_of"] / edges.total() - fitted["edge"]["is_subgoal_of"]) < 0.05
    assert edges.total() == pytest.approx(2 * len(goals), rel=0.01)


def test_a_generated_graph_can_be_imported(tmp_path: Path) -> None:
    with open_graph("memory:") as graph:
        for batch in shape.batches(500):
            graph.storage.apply(batch)
        assert graph.verify().ok


def test_the_fit_keeps_figures_only() -> None:
    records = [
        {"title": "Secret", "status": "open", "priority": 1, "description": "Words"},
        {
            "title": "Other",
            "status": "closed",
            "priority": 1,
            "dependencies": [{"depends_on_id": "a", "type": "blocks"}],
        },
    ]
    told = fitted(records)
    assert told["status"] == {"active": 0.5, "completed": 0.5}
    assert told["edge"] == {"depends_on": 1.0}
    assert "Secret" not in json.dumps(told)


def test_a_comparison_wants_a_base(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BASE", raising=False)
    assert compare.main([]) == 2
    assert "BASE=main" in capsys.readouterr().err


def test_only_what_the_noise_does_not_explain_is_a_change() -> None:
    first = {"ratio": 1.0, "ratio_low": 0.9, "ratio_high": 1.1}
    near = {"ratio": 1.1, "ratio_low": 1.0, "ratio_high": 1.2}
    far = {"ratio": 2.0, "ratio_low": 1.9, "ratio_high": 2.1}
    assert compare.judged([first] * 3, [near] * 3)[2] == "same"
    assert compare.judged([first] * 3, [far] * 3)[2] == "slower"
    assert compare.judged([far] * 3, [first] * 3)[2] == "faster"
    assert compare.judged([first, far, first], [far] * 3)[2] == "same"  # a noisy base
