"""Claims about the file store's shelf for what is kept aside: torn lines, damage, rewriting, other openers."""

from __future__ import annotations

from pathlib import Path

from intentstore.storage.aside import REWRITE_BYTES, Aside
from intentstore.storage.disk import Disk


def test_a_torn_line_is_passed_over_and_the_next_one_is_whole(tmp_path: Path) -> None:
    aside = Aside(Disk(), tmp_path)
    aside.write("s", {"a": b"1"})
    aside.write("s", {"b": b"2"})
    path = aside.path("s")
    path.write_bytes(path.read_bytes()[:-5])
    again = Aside(Disk(), tmp_path)
    assert again.read("s") == {"a": b"1"}
    again.write("s", {"c": b"3"})
    assert again.read("s") == Aside(Disk(), tmp_path).read("s") == {"a": b"1", "c": b"3"}


def test_a_damaged_line_costs_itself_only(tmp_path: Path) -> None:
    aside = Aside(Disk(), tmp_path)
    for key in "abc":
        aside.write("s", {key: key.encode()})
    path = aside.path("s")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1].replace(b"0", b"1", 1), *lines[2:]]))
    assert Aside(Disk(), tmp_path).read("s") == {"a": b"a", "c": b"c"}


def test_what_is_outdated_is_cleared_away_and_others_follow(tmp_path: Path) -> None:
    writer, reader = Aside(Disk(), tmp_path), Aside(Disk(), tmp_path)
    for round in range(3 * REWRITE_BYTES // 1000):
        writer.write("s", {"a": b"%d" % round * 250, "gone": b"x" if round % 2 else None})
        assert reader.read("s")["a"] == b"%d" % round * 250
        assert writer.path("s").stat().st_size < 2 * REWRITE_BYTES
