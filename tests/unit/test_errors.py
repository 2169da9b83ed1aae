"""The tree of exceptions, and values cut to fit a sentence."""

import re

from messaging import errors
from messaging.errors import BrokerError, InvalidMessage, MessageTooLarge, MessagingError, shown


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        depth, name = re.match(r"([│├└─ ]*)(\w+)", line).groups()  # type: ignore[union-attr]
        branch[len(depth) // 4 :] = [name]
        drawn[name] = branch[-2] if len(branch) > 1 else "Exception"
    built = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, MessagingError)
    }
    assert drawn == built


def test_bad_input_is_also_a_value_error() -> None:
    assert issubclass(InvalidMessage, ValueError)
    assert not issubclass(BrokerError, ValueError)


def test_the_size_is_in_the_message_and_on_the_exception() -> None:
    error = MessageTooLarge(300_000, 262_144, "orders.created")
    assert (error.size, error.limit) == (300_000, 262_144)
    assert "'orders.created'" in str(error)
    assert "300,000" in str(error)
    assert "262,144" in str(error)


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    assert shown("x" * 5000).endswith("… (5,002 characters)")
    assert len(shown("x" * 5000)) < 160


def test_a_value_whose_repr_fails_does_not_hide_the_error() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert shown(Broken()) == "<Broken: repr failed with RuntimeError>"
    assert shown(10**5000).startswith("<int: repr failed")
