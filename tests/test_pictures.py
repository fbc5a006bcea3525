"""Claims about pictures: whole XML whatever the texts say, every goal in a box, thousands few enough to read."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import pytest

from intentstore import Intent, IntentFilter, IntentGraph, IntentStatus, open_graph
from intentstore.cli import main
from intentstore.formats import export_from
from intentstore.formats.forest import HEIGHT, WIDTH, laid_out
from intentstore.graph.traverse import every_edge

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</title><script>alert(1)</script>",
    '"onload="x',
    "&amp;<b>",
    "\x00\x1b[31m\ufffe".replace("\x00", ""),
    "]]>",
]


def drawn(graph: IntentGraph, format: str = "svg", **how: object) -> str:
    target = io.BytesIO()
    export_from(graph, target, format=format, **how)  # type: ignore[arg-type]
    return target.getvalue().decode()


def living(count: int, *, settled: float) -> IntentGraph:
    luck, graph = Random(5), open_graph("memory:")
    with graph.transaction() as tx:
        for n in range(count):
            status = IntentStatus.COMPLETED if luck.random() < settled else luck.choice(list(IntentStatus))
            tx.store(Intent(id=f"i{n:04}", goal=f"Goal number {n} of a great many", status=status))
            if n and luck.random() < 0.7:
                tx.link(f"i{n:04}", "is_subgoal_of", f"i{luck.randrange(n):04}")
            if n and luck.random() < 0.2:
                tx.link(f"i{n:04}", luck.choice(["depends_on", "related_to", "enables"]), f"i{luck.randrange(n):04}")
    return graph


def test_hostile_texts_stay_texts() -> None:
    with open_graph("memory:") as graph:
        for n, text in enumerate(HOSTILE):
            graph.store(Intent(id=f"i{n} <&>", goal=text, name=text))
        for format in ("svg", "html"):
            text = drawn(graph, format)
            assert "<script" not in text
            assert "\x1b" not in text
        root = ET.fromstring(drawn(graph))
        titles = [found.text or "" for found in root.iter(f"{SVG}title")]
        assert any("</title><script>" in title for title in titles)
        assert len(root.findall(f".//{SVG}g[@class='active']")) == len(HOSTILE) + 1  # and one in the legend
        assert not re.search(r"(href|src)=|url\(", drawn(graph, "html"))


def test_every_goal_is_in_a_box_and_no_two_boxes_overlap() -> None:
    with living(400, settled=0.3) as graph:
        intents = list(graph.each())
        edges = list(every_edge(graph.storage))
        whole = laid_out(intents, edges, fold=False)
        assert {box.intent.id for box in whole.boxes} == {intent.id for intent in intents}
        folded = laid_out(intents, edges)
        assert len(folded.boxes) < len(whole.boxes)
        hidden = len(intents) - len(folded.boxes)
        assert hidden == sum(box.folded - 1 for box in folded.boxes if box.folded)
        open_ones = {intent.id for intent in intents if intent.status not in ("completed", "archived")}
        assert open_ones <= {box.intent.id for box in folded.boxes if not box.folded}
        for forest in (whole, folded):
            places = sorted((box.x, box.y) for box in forest.boxes)
            for (x, y), (other_x, other_y) in itertools.pairwise(places):
                assert x != other_x or other_y - y >= HEIGHT
            assert all(box.x + WIDTH <= forest.width and box.y + HEIGHT <= forest.height for box in forest.boxes)
            assert all(line.source != line.target for line in forest.lines)
        assert laid_out(intents, edges) == folded


def test_what_has_an_open_goal_below_is_not_folded_under_whichever_parent_that_stands() -> None:
    done = IntentStatus.COMPLETED
    with open_graph("memory:") as graph:
        for id in ("a", "part"):
            graph.store(Intent(id=id, goal=id))
        for id in ("z", "y", "x"):
            graph.store(Intent(id=id, goal=id, status=done))
        for n in range(9):
            graph.store(Intent(id=f"done{n}", goal="Done", status=done))
            graph.link(f"done{n}", "is_subgoal_of", "z")
        for parent in ("a", "z"):
            graph.link("part", "is_subgoal_of", parent)
        graph.link("z", "is_subgoal_of", "y")
        forest = laid_out(list(graph.each()), list(every_edge(graph.storage)))
        boxes = {box.intent.id: box.folded for box in forest.boxes}
        assert (boxes["z"], boxes["y"], boxes["part"]) == (0, 0, 0)
        assert boxes["done0"] == 9


def test_two_and_a_half_thousand_goals_are_a_page_that_can_be_read() -> None:
    with living(2500, settled=0.93) as graph:
        text = drawn(graph)
        assert text.count("<rect") < 900
        assert len(text) < 600_000
        root = ET.fromstring(text)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        assert 0.2 < width / height < 5
        assert drawn(graph) == text


def test_circles_of_other_relations_and_nothing_at_all_are_drawn() -> None:
    with open_graph("memory:") as graph:
        assert "no goals" in drawn(graph, "html")
        ET.fromstring(drawn(graph))
        for id in "abc":
            graph.store(Intent(id=id, goal=id))
        for source, target in ("ab", "bc", "ca"):
            graph.link(source, "enables", target)
        graph.link("a", "conflicts_with", "c")
        assert drawn(graph).count("<path") == 2 + 4  # the legend's, and one each


def test_a_part_is_drawn_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"sqlite:{tmp_path}/g.db"
    with open_graph(store) as graph:
        for id, status in (("top", "active"), ("part", "active"), ("done", "completed"), ("else", "active")):
            graph.store(Intent(id=id, goal=f"Goal {id}", status=IntentStatus(status)))
        graph.link("part", "is_subgoal_of", "top")
        graph.link("done", "is_subgoal_of", "top")
        assert "Goal else" not in drawn(graph, where=IntentFilter(ids=frozenset({"top", "part"})))
    for name in ("g.html", "g.svg", "g.mermaid"):
        assert main(["--store", store, "graph", str(tmp_path / name)]) == 0
    assert (tmp_path / "g.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "g.mermaid").read_text().startswith("flowchart")
    assert main(["--store", store, "graph", str(tmp_path / "part.dot"), "--root", "top", "--status", "active"]) == 0
    text = (tmp_path / "part.dot").read_text()
    assert "Goal part" in text
    assert "Goal done" not in text
    assert "Goal else" not in text
    capsys.readouterr()
    assert main(["--store", store, "graph", "-", "--root", "top"]) == 0
    assert "<svg" in capsys.readouterr().out
