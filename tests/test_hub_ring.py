"""The ring and the feeds: nothing missing, nothing twice, whatever way a client comes back."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from messaging.frames import Place, Where, parse_id
from messaging.live.direct import Direct
from messaging.live.feed import CHUNK_BYTES, Feed
from messaging.live.filters import Filter
from messaging.live.ring import Item, Ring, in_order, renumbered
from tests.sse import parse

EPOCH = "0123456789abcdef"
OTHER = "fedcba9876543210"


def place(ms: int, epoch: str = EPOCH) -> Place:
    return Place(epoch, ms, 0)


def item(ms: int, *, partition: int = 0, partitions: int = 1, channel: str = "c", epoch: str = EPOCH) -> Item:
    where = [Place("", 0, 0)] * partitions
    where[partition] = place(ms, epoch)
    return Item.of(partition, tuple(where), channel, b'data: {"at":"%d.%d-0"}\n\n' % (partition, ms))


def ring_of(items: Sequence[Item], origin: Where, *, size: int = 1000, **options: int) -> Ring:
    ring = Ring(size, **options)
    ring.restart(origin)
    where = origin
    for each in items:
        (numbered,) = renumbered([each], where)
        where = numbered.where
        ring.add(numbered)
    return ring


def ring_heads(ring: Ring, partitions: int) -> Where:
    items = ring.newest(Filter(), 1)
    return items[0].where if items else (place(1),) * partitions


def places(items: Sequence[Item]) -> list[tuple[int, int]]:
    return [(each.partition, each.where[each.partition].ms) for each in items]


# -- one partition


def test_a_ring_knows_what_it_does_not_have() -> None:
    ring = ring_of([item(ms) for ms in (10, 20, 30, 40)], (place(5),), size=3)
    assert ring.after((place(9),)) is None
    assert places(ring.after((place(10),)) or []) == [(0, 20), (0, 30), (0, 40)]
    assert places(ring.after((place(25),)) or []) == [(0, 30), (0, 40)]
    assert ring.after((place(40),)) == []
    assert ring.after((place(20, OTHER),)) is None


def test_an_empty_ring_has_everything_since_its_origin() -> None:
    ring = ring_of([], (place(5),))
    assert ring.after((place(5),)) == []
    assert ring.after((place(4),)) is None


def test_a_ring_is_bounded_by_bytes() -> None:
    frame = len(item(10).frame)
    ring = ring_of([item(ms) for ms in range(10, 20)], (place(5),), max_bytes=3 * frame)
    assert (len(ring), ring.bytes) == (3, 3 * frame)
    assert ring.after((place(15),)) is None
    assert places(ring.after((place(16),)) or []) == [(0, 17), (0, 18), (0, 19)]


def test_one_frame_larger_than_the_bound_is_kept() -> None:
    ring = ring_of([item(10), item(20)], (place(5),), max_bytes=1)
    assert places(ring.after((place(10),)) or []) == [(0, 20)]


def test_a_client_of_the_life_before_hears_of_the_gap() -> None:
    ring = ring_of([item(10), item(20)], (place(5),))
    ring.add(Item(0, (place(0, OTHER),), None, b"event: gap\n\n", everyone=True))
    ring.add(item(30, epoch=OTHER))
    found = ring.after((place(10),)) or []
    assert [each.everyone for each in found] == [False, True, False]
    assert places(ring.after((place(0, OTHER),)) or []) == [(0, 30)]


# -- several partitions: two processes read them in different orders


@st.composite
def two_orders(draw: st.DrawFn) -> tuple[int, list[Item], list[Item]]:
    """The same entries of up to three partitions, each partition in its order, merged in two ways."""
    partitions = draw(st.integers(1, 3))
    owners = draw(st.lists(st.integers(0, partitions - 1), max_size=12))

    def merged(order: list[int]) -> list[Item]:
        counts = [0] * partitions
        items = []
        for owner in order:
            counts[owner] += 1
            items.append(item(100 * counts[owner], partition=owner, partitions=partitions))
        return items

    return partitions, merged(owners), merged(draw(st.permutations(owners)))


@given(two_orders(), st.data())
def test_a_client_goes_on_at_another_process_exactly_where_it_was(
    orders: tuple[int, list[Item], list[Item]], data: st.DataObject
) -> None:
    partitions, here, there = orders
    origin = (place(1),) * partitions
    rings = [ring_of(here, origin), ring_of(there, origin)]
    since: Where = origin
    got: list[str] = []

    def read(ring: Ring, *, at_most: int | None) -> None:
        nonlocal since
        missed = ring.after(since)
        assert missed is not None
        for event in parse(b"".join(each.frame for each in missed[:at_most])):
            got.append(event.data["at"])
            since = parse_id(event.last_id, partitions=partitions) or ()

    for ring in data.draw(st.lists(st.sampled_from(rings), max_size=5)):
        read(ring, at_most=data.draw(st.integers(0, 5)))
    read(data.draw(st.sampled_from(rings)), at_most=None)
    assert sorted(got) == sorted(f"{p}.{ms}-0" for p, ms in places(here))
    for partition in range(partitions):
        own = [int(at[2:-2]) for at in got if at.startswith(f"{partition}.")]
        assert own == sorted(own)


@given(two_orders(), st.data())
def test_history_can_be_resumed_from_any_of_its_frames(
    orders: tuple[int, list[Item], list[Item]], data: st.DataObject
) -> None:
    partitions, here, _ = orders
    ring = ring_of(here, (place(1),) * partitions)
    heads = ring_heads(ring, partitions)
    history = in_order(ring.newest(Filter(), data.draw(st.integers(0, 12))), heads)
    if not history:
        return
    read = data.draw(st.integers(1, len(history)))
    missed = ring.after(history[read - 1].where)
    assert missed is not None
    assert sorted(places(missed)) == sorted(places(history[read:]))


# -- feeds


def feed_of(frames: int, *, size: int = 10) -> Feed:
    feed = Feed(Filter())
    for serial in range(frames):
        feed.add(Item(0, (place(serial),), "c", b"%04d" % serial + b"." * (size - 4)), serial)
    return feed


def test_clients_at_one_position_get_the_same_bytes() -> None:
    feed = feed_of(5)
    assert feed.take(0) is None  # not before the flush
    feed.flush()
    first = feed.take(2)
    assert first is not None
    assert first is feed.take(2)
    assert first.message is first.message
    assert first.framed is first.framed
    assert (first.message["body"][:4], first.end, first.where) == (b"0002", 5, (place(4),))
    assert first.framed == b"1e\r\n%b\r\n" % first.message["body"]
    assert feed.take(5) is None


@given(st.integers(1, 400), st.integers(4, 3000))
def test_chunks_are_bounded_and_whole(frames: int, size: int) -> None:
    feed = feed_of(frames, size=size)
    feed.flush()
    at, got = 0, b""
    while (chunk := feed.take(at)) is not None:
        assert chunk.end == at + len(chunk.frames) > at
        assert len(chunk.message["body"]) == chunk.size <= CHUNK_BYTES
        at, got = chunk.end, got + chunk.message["body"]
    assert len(got) == frames * size
    assert [got[start : start + 4] for start in range(0, len(got), size)] == [
        b"%04d" % n for n in range(frames)
    ]


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700)), max_size=8))
def test_a_feed_drops_what_the_ring_has_dropped(steps: list[tuple[int, int]]) -> None:
    feed, serial, oldest = Feed(Filter()), 0, 0
    for added, dropped in steps:
        for _ in range(added):
            feed.add(Item(0, (place(serial),), "c", b"%06d" % serial), serial)
            serial += 1
        oldest = min(serial, oldest + dropped)
        feed.trim(oldest)
        feed.flush()
        assert (feed.first, feed.end) == (oldest, serial)
        if oldest < serial:
            chunk = feed.take(oldest)
            assert chunk is not None
            assert chunk.message["body"][:6] == b"%06d" % oldest


# -- filters


def test_filters() -> None:
    assert Filter.of(["b", "a", "b"]) == Filter.of(["a", "b"])
    assert Filter.of(["a", "*"]) == Filter()
    assert Filter.of(["a", "b.*"]).exact is None
    assert Filter.of(["a", "b"]).exact == {"a", "b"}
    assert Filter.of(["a", "b.*"]).takes("b.c")
    assert Filter.of(["a", "b.*"]).takes("a")
    assert not Filter.of(["a", "b.*"]).takes("c")
    assert Filter().takes(None)
    assert not Filter.of(["a"]).takes(None)


# -- the short way to a client


class _Flow:
    write_paused = False


class _Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


class _Cycle:
    """What uvicorn's response to one request shows."""

    __module__ = "uvicorn.protocols.http.httptools_impl"

    def __init__(self, chunked_encoding: bool | None) -> None:
        self.chunked_encoding = chunked_encoding
        self.disconnected = False
        self.flow = _Flow()
        self.transport = _Transport()

    async def send(self, message: dict[str, object]) -> None: ...


class _Other(_Cycle):
    __module__ = "another.server"


def test_the_short_way_is_taken_only_where_the_framing_is_known() -> None:
    cycle = _Cycle(True)
    direct = Direct.of(cycle.send)
    assert direct is not None
    assert direct.write(b"1")
    cycle.flow.write_paused = True
    assert not direct.write(b"2")
    cycle.flow.write_paused, cycle.disconnected = False, True
    assert direct.lost
    assert not direct.write(b"3")
    assert cycle.transport.written == [b"1"]
    for unknown in (_Cycle(False).send, _Cycle(None).send, _Other(True).send, print):
        assert Direct.of(unknown) is None
