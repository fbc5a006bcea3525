"""Claims about a file store whose records are RTFS: the same commits and hashes, readable, JSON again when asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intentstore import Code, Corrupt, FieldInvalid, File, Intent, Keyword, Map, Symbol, Unsupported, open_graph
from intentstore.cli import main
from intentstore.codec import encode_commit
from intentstore.ground.change import Commit, Put
from intentstore.rtfs import read_all
from intentstore.storage.bodies import id_in, is_commit, read_commit, written_as
from intentstore.storage.choose import convert
from intentstore.storage.disk import Disk
from intentstore.storage.gitted import commits_in, grown
from intentstore.storage.home import Home
from intentstore.storage.scan import lines
from tests.invented import intents

ODD = Map(
    {
        "plain": 1,
        "with space": None,
        "$map": (1.0, -0.0, 2**53, -(2**63)),
        Keyword("kind"): Symbol("s/t"),
        "code": Code("(fn [x] x)"),
        "text": 'a\nb\t\x01\u2028"\\',
        "Upper": {"nil": True, "1": Keyword("a/b")},
    }
)


def journal(store: Path) -> list[bytes]:
    path = next(store.glob("graphs/default/journal-*1.jsonl"))
    disk = Disk()
    fd = disk.open_read(path)
    try:
        return [line.split(b" ", 5)[5] for _, line in lines(disk, fd, 0)]
    finally:
        disk.close(fd)


def test_its_records_are_rtfs_that_a_person_can_read(tmp_path: Path) -> None:
    with open_graph(f"file:{tmp_path}/store?encoding=rtfs", actor="me") as graph:
        graph.store(Intent(id="ship", goal="Ship 1.0", constraints=ODD))
        graph.note("ship", "A remark")
    _, *records = journal(tmp_path / "store")
    assert records[0].startswith(b'{:revision 1 :id "')
    assert b':goal "Ship 1.0"' in records[0]
    assert all(len(read_all(record)) == 1 for record in records)
    with open_graph(f"file:{tmp_path}/store") as graph:  # the store says itself what it is
        assert graph.intent("ship").constraints == ODD
        graph.complete("ship")
        assert graph.stats()["store"]["encoding"] == "rtfs"
        assert graph.verify().ok
    assert journal(tmp_path / "store")[-1].startswith(b"{:revision 3")


def test_another_encoding_than_the_stores_is_refused(tmp_path: Path) -> None:
    with open_graph(File(str(tmp_path / "store"))) as graph:
        graph.store(Intent(goal="A"))
    with pytest.raises(FieldInvalid, match="written in json") as refused:
        open_graph(f"file:{tmp_path}/store?encoding=rtfs")
    assert "convert" in refused.value.hint
    with pytest.raises(FieldInvalid, match="unknown option"):
        open_graph(f"file:{tmp_path}/store?encoding=xml")
    with pytest.raises(FieldInvalid, match="xml"):
        convert(f"file:{tmp_path}/store", "xml")
    with pytest.raises(Unsupported):
        convert("memory:", "rtfs")


def test_a_store_is_converted_there_and_back_with_every_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"file:{tmp_path}/store"
    for name in ("default", "other"):
        with open_graph(where, graph=name) as graph:
            graph.store(Intent(id="a", goal="A", metadata=ODD))
            graph.compact()
            graph.store(Intent(id="b", goal="B"))
            graph.link("b", "depends_on", "a")
    with open_graph(where) as graph:
        before = [commit.hash for commit in graph.entries()]
        seal = graph.seal()
    for encoding, start in (("rtfs", b"{:revision"), ("json", b'{"revision"')):
        assert main(["--store", where, "convert", "--encoding", encoding]) == 0
        assert "other" in capsys.readouterr().out
        assert journal(tmp_path / "store")[1].startswith(start)
        for name in ("default", "other"):
            with open_graph(where, graph=name) as graph:
                assert graph.verify().ok
                assert graph.intent("a").metadata == ODD
                if name == "default":
                    assert [commit.hash for commit in graph.entries()] == before
                    assert graph.seal().seal == seal.seal


def test_a_conversion_cut_short_is_read_as_well(tmp_path: Path) -> None:
    where = f"file:{tmp_path}/store"
    with open_graph(where) as graph:
        graph.store(Intent(id="a", goal="A"))
    home = Home(Disk(), tmp_path / "store")
    home.version()
    home.convert("rtfs")  # and no further
    with open_graph(where) as graph:
        graph.store(Intent(id="b", goal="B"))
        assert {intent.id for intent in graph.each()} == {"a", "b"}
        assert graph.verify().ok
    _, first, second = journal(tmp_path / "store")
    assert (first[:3], second[:3]) == (b'{"r', b"{:r")
    path = next((tmp_path / "store").glob("graphs/default/journal-*1.jsonl"))
    commits = list(commits_in(Disk(), [path]))
    assert [commit.revision for commit in commits] == [1, 2]
    longer = grown(Disk(), path, [commits[-1]])
    assert longer.startswith(path.read_bytes().rstrip(b"\n"))
    assert longer.splitlines()[-1].split(b" ", 5)[5].startswith(b"{:")


@given(intent=intents(), word=st.text(max_size=9))
def test_any_commit_comes_back_from_its_rtfs(intent: Intent, word: str) -> None:
    named = intent.replace(id="a", metadata={**intent.metadata, word: word} if "\0" not in word else intent.metadata)
    (commit,) = in_memory(named)
    body = encode_commit(commit)
    written = written_as("rtfs", body)
    assert b"\n" not in written
    assert is_commit(written)
    assert encode_commit(read_commit(written)) == body
    assert id_in(written) == id_in(body) == commit.id
    assert written_as("json", body) is body


def in_memory(intent: Intent) -> list[Commit]:
    with open_graph("memory:") as graph:
        graph.apply([Put(intent=intent)])
        return list(graph.entries())


def test_what_is_no_commit_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="RTFS"):
        read_commit(b"{:revision")
    with pytest.raises(Corrupt):
        read_commit(b"{:revision 1}")
    with pytest.raises(Corrupt):
        id_in(b"{:id 1}")
