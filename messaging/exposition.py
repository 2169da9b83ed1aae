"""Numbers with names -> the text that Prometheus reads, format 0.0.4. Pure.

The rules: https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GAUGE, COUNTER = "gauge", "counter"


class Sample(NamedTuple):
    """One number, told from others of its name by labels."""

    value: float
    labels: Mapping[str, str] = {}


class Metric(NamedTuple):
    """A name, what it means, and its numbers; one without numbers is left out."""

    name: str
    kind: str
    meaning: str
    samples: list[Sample]


def gauge(name: str, meaning: str, *samples: Sample | float) -> Metric:
    """What goes up and down."""
    return Metric(name, GAUGE, meaning, [_sample(each) for each in samples])


def counter(name: str, meaning: str, *samples: Sample | float) -> Metric:
    """What only grows, from 0 when a process starts; by custom its name ends in ``_total``."""
    return Metric(name, COUNTER, meaning, [_sample(each) for each in samples])


def _sample(given: Sample | float) -> Sample:
    return given if isinstance(given, Sample) else Sample(given)


def exposition(metrics: Iterable[Metric]) -> bytes:
    """The whole text."""
    return "".join(f"{line}\n" for metric in metrics for line in _lines(metric)).encode()


def _lines(metric: Metric) -> Iterator[str]:
    if not metric.samples:
        return
    yield f"# HELP {metric.name} {_escaped(metric.meaning)}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for value, labels in metric.samples:
        inside = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
        yield f"{metric.name}{'{' + inside + '}' if inside else ''} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
