"""How many streams may be open, and who counts as the same client."""

import pytest

from messaging.live.limits import Limits, Seat, address_of


def seat(limits: Limits, user: str = "", address: str = "") -> Seat:
    taken = limits.take(user, address)
    assert isinstance(taken, Seat)
    return taken


def test_each_limit_has_its_name_and_a_seat_given_back_makes_room(settings) -> None:
    settings.MESSAGING = {
        "LIVE_MAX_STREAMS": 4,
        "LIVE_MAX_STREAMS_PER_USER": 2,
        "LIVE_MAX_STREAMS_PER_ADDRESS": 3,
    }
    limits = Limits()
    first = seat(limits, "1", "a")
    seat(limits, "1", "b")
    assert limits.take("1", "c") == "user"
    seat(limits, "", "a")  # nobody in particular counts by address alone
    seat(limits, "", "a")
    assert limits.take("2", "b") == limits.knock("b") == "total"
    first.free()
    first.free()  # once
    assert limits.open == 3
    assert limits.knock("a") == ""
    seat(limits, "1", "a")
    settings.MESSAGING = {"LIVE_MAX_STREAMS": 100, "LIVE_MAX_STREAMS_PER_ADDRESS": 3}
    assert limits.take("2", "a") == limits.knock("a") == "address"


def test_so_many_connect_in_a_second(settings) -> None:
    settings.MESSAGING = {"LIVE_MAX_CONNECTS_PER_SECOND": 10}
    limits = Limits()
    assert [limits.knock("", now=100.0) for _ in range(12)] == [""] * 10 + ["rate"] * 2
    assert [limits.knock("", now=100.5) for _ in range(6)] == [""] * 5 + ["rate"]
    assert [limits.knock("", now=200.0) for _ in range(11)] == [""] * 10 + ["rate"]
    settings.MESSAGING = {"LIVE_MAX_CONNECTS_PER_SECOND": 0}
    assert limits.knock("", now=200.0) == ""


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "9.9.9.9", "1.1.1.1", "9.9.9.9"),
        (["10.0.0.0/8"], "10.0.0.1", "1.1.1.1", "1.1.1.1"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        (["10.0.0.0/8"], "9.9.9.9", "1.1.1.1", "9.9.9.9"),
        (["10.0.0.0/8"], "10.0.0.1", "", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "garbage", "garbage"),
        (["unix"], "", "1.1.1.1", "1.1.1.1"),
        (["::1"], "::1", "2001:db8::1", "2001:db8::1"),
        (["*"], "9.9.9.9", "1.1.1.1, 2.2.2.2", "1.1.1.1"),
    ],
)
def test_what_proxies_say_is_believed_of_those_that_are_trusted(
    settings, trusted: list[str], peer: str, forwarded: str, client: str
) -> None:
    settings.MESSAGING = {"LIVE_TRUSTED_PROXIES": trusted}
    assert address_of(peer, forwarded) == client
