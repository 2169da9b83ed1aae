"""Our reading of globs is the server's."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis.client import PubSub

from messaging.patterns import matches, raw
from tests.servers import TestServer

# Where the ends of a range lie on both sides of ASCII, servers differ by the sign of C's `char`: not among these.
member = st.sampled_from([*"abcz0-^\\[?*"])
piece = st.one_of(
    st.sampled_from([*"abcz.:-]^", "é", "🎉", "\n", " ", "\x00"]),
    st.sampled_from(["*", "?", "**", "\\", "\\*", "\\[", "[", "[^"]),
    st.lists(member, max_size=5).map(lambda members: f"[{''.join(members)}]"),
    st.lists(member, max_size=5).map(lambda members: f"[^{''.join(members)}]"),
    st.sampled_from(["[a-c]", "[c-a]", "[^a-b]", "[a-]", "[-a]", "[é]", "[à-ü]"]),
)
patterns = st.lists(piece, max_size=6).map("".join).filter(bool)
channels = st.text([*"abcz0.:-]^[*?\\", "é", "🎉", "\n", " ", "\x00"], max_size=6)

Hears = Callable[[str, str], bool]


@pytest.fixture
def hears(any_broker: TestServer) -> Hears:
    """Does the server deliver what is published on a channel to a subscriber of a pattern?"""
    client = any_broker.client()
    pubsub: PubSub = client.pubsub()
    publish = client.publish

    def ask(pattern: str, channel: str) -> bool:
        pubsub.psubscribe(raw(pattern))
        assert pubsub.parse_response()[0] == b"psubscribe"
        heard = publish(raw(channel), b"") == 1
        pubsub.punsubscribe(raw(pattern))
        while pubsub.parse_response()[0] != b"punsubscribe":
            pass
        return heard

    return ask


def test_a_channel_matches_exactly_when_the_server_says_so(hears: Hears) -> None:
    @settings(max_examples=200)
    @given(patterns, channels)
    @example("[", "[")
    @example("[^", "x")
    @example("a\\", "a\\")
    @example("[a-", "b")
    @example("[\\]]", "]")
    @example("*[", "[")
    @example("[\\", "\\")
    def check(pattern: str, channel: str) -> None:
        assert matches(pattern, channel) == hears(pattern, channel)

    check()
