"""A subscriber's annotations -> what it is called with: the event, its payload as the type it asks for, or both. Pure.

def on_order(event): ...                              the event
def on_order(order: Order): ...                       its payload, checked and converted by msgspec
def on_order(order: Order, event: Event): ...         both
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from msgspec.inspect import CustomType, type_info

from messaging.errors import Misconfigured, PayloadRefused, shown
from messaging.event import Event
from messaging.payload import parse_json

Binding = Callable[[Event], list[Any]]  # an event -> the function's positional arguments

_UNSAID = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def bind(function: Callable[..., Any]) -> Binding:
    """A function -> how it wants to be called; :class:`Misconfigured` if it cannot be called with an event.

    The binding raises :class:`PayloadRefused` for a payload that is not of the type.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # a name that is not there, or anything else that an annotation may do
        raise Misconfigured(f"annotations of {_name(function)} cannot be read: {error}") from error
    wanted = _wanted(function)
    kinds = [hints.get(parameter.name, _UNSAID) for parameter in wanted]
    if len(kinds) == 1:
        return _event if kinds[0] in (_UNSAID, Event) else _one(_converter(kinds[0], function))
    payload = [kind for kind in kinds if kind is not Event]
    if len(payload) != 1 or payload[0] is _UNSAID:
        raise Misconfigured(
            f"{_name(function)} has two parameters: one has to be annotated as Event, the other as its payload's type"
        )
    convert = _converter(payload[0], function)
    if kinds[0] is Event:
        return lambda event: [event, convert(event)]
    return lambda event: [convert(event), event]


def _wanted(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that get something."""
    parameters = list(inspect.signature(function).parameters.values())
    needed = [each for each in parameters if each.default is _UNSAID]
    positional = [each for each in needed if each.kind in _POSITIONAL]
    if any(each.kind is inspect.Parameter.KEYWORD_ONLY for each in needed) or len(positional) > 2:
        raise Misconfigured(f"{_name(function)} takes more than an event and its payload")
    if not positional:
        positional = [each for each in parameters if each.kind in _POSITIONAL][:1]
    if not positional:
        raise Misconfigured(f"{_name(function)} takes no parameter: it is called with the event")
    return positional


def _event(event: Event) -> list[Any]:
    return [event]


def _one(convert: Callable[[Event], Any]) -> Binding:
    return lambda event: [convert(event)]


def _converter(kind: Any, function: Callable[..., Any]) -> Callable[[Event], Any]:
    """A type -> what makes a payload into one."""
    if kind is bytes:
        return lambda event: event.payload
    if kind is Any or kind is object:
        return _anything
    try:
        decoder = msgspec.json.Decoder(kind)
        if isinstance(type_info(kind), CustomType):
            raise TypeError(f"{_type_name(kind)} is a class of its own")
    except TypeError as error:
        raise Misconfigured(
            f"{_name(function)} asks for a payload that msgspec does not know: {error}"
        ) from error

    def convert(event: Event) -> Any:
        if event.binary:
            raise PayloadRefused(
                f"{_payload(event)} is binary ({event.content_type}), not {_type_name(kind)}"
            )
        try:
            return decoder.decode(event.payload)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise PayloadRefused(
                f"{_payload(event)} is no {_type_name(kind)}: {error}: {shown(event.payload)}"
            ) from error

    return convert


def _anything(event: Event) -> Any:
    try:
        return event.payload if event.binary else parse_json(event.payload)
    except ValueError as error:
        raise PayloadRefused(f"{_payload(event)} cannot be read: {error}: {shown(event.payload)}") from error


def _payload(event: Event) -> str:
    return f"the payload of event {shown(event.id)} on {shown(event.channel)}"


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"
