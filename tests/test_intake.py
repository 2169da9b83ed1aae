"""A pipe's lines: whole, counted, bounded; what each becomes."""

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.errors import Unencodable
from messaging.terminal.intake import Line, LineReader, data_of


class Pipe(NamedTuple):
    """Both ends."""

    reading: int
    writing: int

    def write(self, data: bytes) -> None:
        os.write(self.writing, data)

    def end(self) -> None:
        os.close(self.writing)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe(*os.pipe())
    yield made
    os.close(made.reading)


def texts(lines: list[Line]) -> list[bytes]:
    return [line.raw for line in lines]


def test_a_line_is_there_as_soon_as_its_end_came(pipe: Pipe) -> None:
    reader = LineReader(pipe.reading, limit=100)
    assert not reader.wait(0)
    pipe.write(b"first\nsec")
    assert reader.wait(0)
    assert texts(reader.read()) == [b"first"]
    pipe.write(b"ond\r\n\nlast")
    assert reader.read() == [Line(2, b"second", 6), Line(3, b"", 0)]
    pipe.end()
    assert not reader.ended
    assert texts(reader.read()) == [b"last"]  # without a line end
    assert reader.ended


def test_nothing_at_all(pipe: Pipe) -> None:
    reader = LineReader(pipe.reading, limit=100)
    pipe.end()
    assert reader.read() == []
    assert reader.ended


def test_a_line_beyond_the_limit_is_measured_but_not_kept(pipe: Pipe) -> None:
    reader = LineReader(pipe.reading, limit=10)
    pipe.write(b"x" * 5000)
    assert reader.read() == []
    pipe.write(b"x" * 5000 + b"\nok\n")
    long, ok = reader.read()
    assert (long.number, long.size, len(long.raw)) == (1, 10_000, 11)
    assert ok == Line(2, b"ok", 2)


@pytest.mark.parametrize(
    ("line", "size"), [(b"x" * 10 + b"\r", 10), (b"x" * 11, 11), (b"x" * 9 + b"\r\r", 10)]
)
def test_a_carriage_return_does_not_count(pipe: Pipe, line: bytes, size: int) -> None:
    reader = LineReader(pipe.reading, limit=10)
    pipe.write(line + b"\n")
    assert reader.read()[0].size == size


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))),
    data=st.data(),
)
def test_however_it_is_cut_into_pieces_the_lines_are_the_same(
    lines: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))) | {0, len(whole)})
    pipe = Pipe(*os.pipe())
    try:
        reader = LineReader(pipe.reading, limit=20)
        read = []
        for start, end in pairwise(cuts):
            pipe.write(whole[start:end])
            read += reader.read()
        pipe.end()
        read += reader.read()
    finally:
        os.close(pipe.reading)
    assert texts(read) == lines
    assert [line.number for line in read] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize(
    ("raw", "form", "data"),
    [
        (b"tea", "auto", "tea"),
        (b"5", "auto", msgspec.Raw(b"5")),
        (b"5", "text", "5"),
        (b'{"a": 1e400, "a": 2}', "auto", msgspec.Raw(b'{"a": 1e400, "a": 2}')),
        (b"NaN", "auto", "NaN"),
        (b'{"a"', "auto", '{"a"'),
        (b"[INFO] started", "auto", "[INFO] started"),
        (b"", "auto", ""),
        (b"\xff", "auto", b"\xff"),
        (b"\xff", "text", b"\xff"),
        (b"a\x00b", "auto", "a\x00b"),
    ],
)
def test_what_a_line_becomes(raw: bytes, form: str, data: object) -> None:
    made = data_of(raw, form)
    assert (type(made), bytes(made) if isinstance(made, msgspec.Raw) else made) == (
        type(data),
        bytes(data) if isinstance(data, msgspec.Raw) else data,
    )


@pytest.mark.parametrize("raw", [b"tea", b"{", b"\xff", b"NaN"])
def test_json_only(raw: bytes) -> None:
    with pytest.raises(Unencodable, match="not JSON"):
        data_of(raw, "json")
