"""The page's modules without the page around them, run by the browser they are written for."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser

from messaging.patterns import matches
from messaging.search import Sought, compile_search
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.once]

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(chromium: Browser, site: Site) -> Iterator[Run]:
    """`run("sse.js", "m.f(a)", 1)`: the value of an expression; `m` is the module, `a`, `b` ... are the arguments."""
    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    page.goto("/accounts/login/")

    def value(module: str, expression: str, *arguments: Any) -> Any:
        names = ", ".join("abcd"[: len(arguments)])
        load = f"const m = await import('/static/messaging/{module}')"
        script = f"async ([{names}]) => {{ {load}; return {expression}; }}"
        return page.evaluate(script, list(arguments))

    yield value
    context.close()


# -- sse.js -------------------------------------------------------------------------------------------------------

FEED = "(() => { const p = new m.EventStreamParser(); return a.flatMap((piece) => p.feed(piece)).concat(p.retry); })()"


def event(data: str, name: str = "message", id: str | None = None) -> dict[str, Any]:
    return {"name": name, "data": data, "id": id}


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        (["data: a\n\n"], [event("a"), None]),
        (["data:a\r\n", "\r\nda", "ta: b\r", "\n\r", "\n"], [event("a"), event("b"), None]),
        (["data: a\rdata: b\r\rdata: c\r\r."], [event("a\nb"), event("c"), None]),
        (["\ufeffid: 7.1-0\nevent: gap\ndata: {}\n\n"], [event("{}", "gap", "7.1-0"), None]),
        ([": beat\n\n", ": beat\nid: 7.2-0\n\n"], [event("", "", "7.2-0"), None]),
        (["retry: 3000\nretry: x\n\ndata\n\n"], [event(""), 3000]),
        (["data:  two spaces\nid: a\0b\nfoo: bar\n\n"], [event(" two spaces"), None]),
        (["data: unfinished\n"], [None]),
    ],
)
def test_an_event_stream_is_read_as_the_standard_says(run: Run, pieces: list[str], events: list[Any]) -> None:
    assert run("sse.js", FEED, pieces) == events


def test_an_event_stream_may_be_cut_anywhere(run: Run) -> None:
    text = 'retry: 5\nid: 1.1-0\ndata: {"at":1}\n\n: beat\n\nevent: bye\r\ndata: "é"\r\n\r\n'
    whole = run("sse.js", FEED, [text])
    assert len(whole) == 3
    assert run("sse.js", FEED, list(text)) == whole


# -- jsontext.js, record.js: payloads are shown as published ------------------------------------------------------

ODD = [
    '{"n":9007199254740993,"m":1e400,"n":-0.0}',
    '{"s":"a\\\\u0041 \\" \\ud800 { [ , :"}',
    "9" * 5000,
    '[{"a":[]},{},[[]],"",null,true]',
    '"text"',
    "{ \n}",
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_indented_json_is_the_same_json(run: Run, text: str) -> None:
    laid = run("jsontext.js", "m.indented(a)", text)
    assert re.sub(r"\s", "", laid) == re.sub(r"\s", "", text)


def test_json_is_laid_out_like_json_dumps_does(run: Run) -> None:
    value = {"a": [1, {"b": None}, [], {}], "c": "x", "d": [[True]]}
    assert run("jsontext.js", "m.indented(a)", json.dumps(value)) == json.dumps(value, indent=2)


@pytest.mark.parametrize("text", ["[" * 1000 + "]" * 1000, "[}", "]", "[", "{]"])
def test_what_cannot_be_laid_out_is_left_alone(run: Run, text: str) -> None:
    assert run("jsontext.js", "m.pretty(a)", text) is None


WRONG = {
    '{"a": }': 6,
    "[1,": 3,
    '{"a":1,}': 7,
    "{a:1}": 1,
    '{"a":1 "b":2}': 7,
    '{"a":1]': 6,
    "[01]": 1,
    '["\\q"]': 1,
    '["x': 1,
}


@pytest.mark.parametrize(("text", "at"), WRONG.items(), ids=WRONG.keys())
def test_where_json_breaks(run: Run, text: str, at: int) -> None:
    assert run("jsontext.js", "m.problem(a)", text)["at"] == at


@pytest.mark.parametrize(
    "text", [*ODD, *WRONG, "", "1 2", "nul", '{"a":{"b":[1.5e-3,{"c":null}]}}', "-", "[}"]
)
def test_what_is_json_is_what_the_browser_takes(run: Run, text: str) -> None:
    parses = run(
        "jsontext.js", "(() => { try { JSON.parse(a); return true; } catch { return false; } })()", text
    )
    assert (run("jsontext.js", "m.problem(a)", text) is None) == parses


def test_escapes_become_signs_only_where_they_can_be_seen(run: Run) -> None:
    shown = run("jsontext.js", "m.readable(a)", r'"Zo\u00eb \ud83d\ude00 \\u00eb \u202e \ud800 \u0022"')
    assert shown == r'"Zoë 😀 \\u00eb \u202e \ud800 \u0022"'


def frame(data: str, *, key: str = "data", **attributes: str) -> str:
    event = {"specversion": "1.0", "id": "i", "source": "/s", "type": "t", "subject": "c"} | attributes
    event.setdefault("time", "2025-11-21T22:47:55.100000Z")
    return f'{{"at":"0.1763765275123-0","event":{json.dumps(event)[:-1]},"{key}":{data}}}}}'


RECORD = """(({kind, raw, size, channel, delay, cut, error, key}) =>
    ({kind, raw, size, channel, delay, cut, error, key}))(m.toRecord('e.1763765275123-0', a))"""


@pytest.mark.parametrize("text", ODD[:5], ids=range(5))
def test_a_payload_reaches_the_page_as_published(run: Run, text: str) -> None:
    assert run("record.js", RECORD, frame(text))["raw"] == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (frame('{"a":"é"}'), {"kind": "json", "size": 10, "channel": "c", "delay": 23, "key": "/s\ni"}),
        (frame('"a\\nb"', datacontenttype="text/plain"), {"kind": "text", "raw": "a\nb", "size": 3}),
        (frame('"AAH/"', key="data_base64", datacontenttype="image/png"), {"kind": "binary", "size": 3}),
        (frame("1", time="yesterday"), {"kind": "json", "delay": 0}),
        (frame('{"data":{"data":1}}', data2="x"), {"raw": '{"data":{"data":1}}'}),
        (
            '{"at":"0.5-0","event":{"id":"i","source":"s","subject":"c"},"cut":{"size":9999,"text":"[1,"}}',
            {"kind": "json", "raw": "[1,", "size": 9999, "cut": True},
        ),
        (
            '{"at":"0.5-0","error":"why","cut":{"size":3,"text":"abc"}}',
            {"error": "why", "raw": "abc", "cut": False},
        ),
        ("no json at all", {"raw": "no json at all", "channel": ""}),
    ],
)
def test_a_frame_becomes_a_record(run: Run, text: str, expected: dict[str, Any]) -> None:
    assert run("record.js", RECORD, text).items() >= expected.items()


# -- rates.js -----------------------------------------------------------------------------------------------------

RATES = """(() => { const rates = new m.Rates(); for (const second of a) rates.add('c', second * 1000);
    rates.begin(b, 11_400); rates.add('c', 11_500);
    return {speed: rates.speed(rates.all, 13_000), series: rates.series(rates.all, 12, 6)}; })()"""


@pytest.mark.parametrize(
    ("seconds", "all_of_them", "speed", "series"),
    [
        ([8, 8, 10], True, 0.8, [0, 2, 0, 1, 1, 0]),  # there were no others: what lies before is nothing
        ([8, 8, 10], False, 0.5, [None, None, 0, 1, 1, 0]),  # the eighth second may have had more
        ([], False, 0, [None, None, None, None, None, 0]),  # counted from the next second on
        ([11, 11], False, 0, [None, None, None, None, None, 0]),
    ],
)
def test_only_what_was_counted_whole_is_a_rate(
    run: Run, seconds: list[int], all_of_them: bool, speed: float, series: list[int | None]
) -> None:
    assert run("rates.js", RATES, seconds, all_of_them) == {"speed": speed, "series": series}


# -- filters.js ---------------------------------------------------------------------------------------------------

PATTERNS = [
    "*",
    "orders.*",
    "o?ders.paid",
    "[op]*",
    "[^o]*",
    "a[b-d]e",
    "x\\*y",
    "[a",
    "[]",
    "[^]",
    "*.*.*",
    "a.b",
    "[z-a]x",
]
NAMES = [
    "orders.paid",
    "orders",
    "payments.failed",
    "x*y",
    "xzy",
    "ace",
    "a.b",
    "aab",
    "a",
    "b",
    "a.b.c",
    "\n",
    "ax",
    "zx",
]


def test_globs_match_as_on_the_server(run: Run) -> None:
    got = run(
        "filters.js", "a.map((pattern) => b.map((name) => m.glob(pattern).test(name)))", PATTERNS, NAMES
    )
    wanted = [[matches(pattern, name) for name in NAMES] for pattern in PATTERNS]
    for pattern, ours, theirs in zip(PATTERNS, got, wanted, strict=True):
        assert dict(zip(NAMES, ours, strict=True)) == dict(zip(NAMES, theirs, strict=True)), pattern


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("refund", ["a"]),
        ("REFUND -card", []),
        ("-refund", ["b", "c"]),
        ('"two words"', ["c"]),
        ("two words", ["c"]),
        ("channel:orders.*", ["a", "b"]),
        ("-channel:orders.paid", ["b", "c"]),
        ("channel:orders", []),
        ("type:made", ["b"]),
        ("data.user.id:42", ["b"]),
        ("data.user.id:7", []),
        ("data.user.id:4", []),
        ("data.user.id:42.0", ["b"]),
        ("data.user.name:zo", ["b"]),
        ("data.user:42", ["b"]),
        ("-data.user.id:42 orders", ["a"]),
        ("zoë", ["b"]),
        ("key:k1", ["c"]),
        ("http://x", []),
        ("- ", ["a", "b", "c"]),
    ],
)
def test_search_terms(run: Run, search: str, found: list[str]) -> None:
    records = [
        {"channel": "orders.paid", "raw": '{"reason":"Refund","by":"card"}', "type": "orders.paid"},
        {"channel": "orders.created", "raw": '{"user":{"id":42,"name":"Zo\\u00eb"}}', "type": "com.made"},
        {"channel": "updates", "raw": "has two words", "kind": "text", "event": {"partitionkey": "k1"}},
    ]
    records = [
        {"kind": "json", "event": {}, "type": "", "cut": False, "id": i} | r
        for i, r in zip("abc", records, strict=True)
    ]
    script = "(() => { const test = m.compileSearch(a); return b.filter((r) => !test || test(r)).map((r) => r.id); })()"
    assert run("filters.js", script, search, records) == found
    test = compile_search(search)  # the export's
    asked = [
        Sought(
            each["channel"],
            each["type"],
            each["id"],
            each["event"].get("partitionkey", ""),
            each["raw"],
            each["kind"] == "json",
        )
        for each in records
    ]
    assert [each.id for each in asked if test is None or test(each)] == found


def test_filters_survive_the_address(run: Run) -> None:
    state = {"channels": ["orders.*", "a&b=c ü"], "search": '-x "y z" data.a:1', "last": 1000}
    state |= {"from": 1763765275123, "around": "0.1763765275123-0", "columns": ["data.user.id", "key"]}
    query = run("filters.js", "m.writeAddress(a)", state)
    assert "channel=orders.*" in query
    assert run("filters.js", "m.readAddress(a)", query) == state
    assert run("filters.js", "m.writeAddress(m.readAddress(''))") == ""
    assert run("filters.js", "m.readAddress('?last=99999').last") == 1000
    assert run("filters.js", "m.readAddress('?col=data.a&col=data.a&col=a%20b&col=data.').columns") == [
        "data.a"
    ]


def test_muting_a_channel_is_a_search_term(run: Run) -> None:
    assert run("filters.js", "m.toggleMute('x', 'heart.beat')") == "x -channel:heart.beat"
    assert run("filters.js", "m.toggleMute('x -channel:heart.beat', 'heart.beat')") == "x"
    assert run("filters.js", "m.mutedBy('-channel:a.*')('a.b')") is True


# -- paths.js -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "path", "found"),
    [
        ('{"a": {"b": 12345678901234567890.50}}', "data.a.b", "12345678901234567890.50"),
        ('{"a":[1, {"b":"x\\u00e9,]}"}, []]}', "data.a.1.b", "xé,]}"),
        ('{"a":[1, {"b":2}, []]}', "data.a.2", "[]"),
        ('{"a":[1]}', "data.a.1", None),
        ('{"a":null,"b":false}', "data.a", "null"),
        ('{"a":1}', "data.a.b", None),
        ("[]", "data.length", None),
        (" 7", "data", "7"),
        ('{"a":1}', "key", "k1"),
        ('{"a":1}', "traceparent", None),
    ],
)
def test_what_stands_at_a_place(run: Run, raw: str, path: str, found: str | None) -> None:
    record = {"kind": "json", "raw": raw, "cut": False, "event": {"partitionkey": "k1"}}
    assert run("paths.js", "m.fieldOf(a, b)", record, path) == found


def test_the_places_that_messages_have(run: Run) -> None:
    raws = ['{"user":{"id":1,"tags":[{"x":1}]},"n":2}', '{"n":"{\\"no\\":1}","a b":1}', "[1]", '"text"']
    records = [{"kind": "json", "raw": raw, "event": {"id": "1"}} for raw in raws]
    assert run("paths.js", "m.pathsOf(a)", records) == ["data.n", "data.user.id", "id"]


# -- store.js -----------------------------------------------------------------------------------------------------

STORE = """(() => {
    const store = new m.Store({cap: 100});
    const one = (n) => ({key: `k${n}`, raw: "x", position: `p${n}`});
    const some = (from, to) => Array.from({length: to - from}, (_, i) => one(from + i));
    const add = (from, to) => store.add(store.fresh(some(from, to)));
    %s
})()"""


def test_the_store_leaves_out_what_it_has(run: Run) -> None:
    assert run("store.js", STORE % "return [add(0, 5).length, add(3, 8).length, store.messages];") == [
        5,
        3,
        8,
    ]


def test_the_store_is_bounded(run: Run) -> None:
    script = STORE % "add(0, 250); return [store.messages, store.dropped, store.rows[0].key];"
    messages, dropped, first = run("store.js", script)
    assert 95 <= messages <= 100
    assert messages + dropped == 250
    assert first == f"k{dropped}"


def test_nothing_is_lost_by_a_pause(run: Run) -> None:
    script = """add(0, 10); store.pause(); add(10, 30);
        const before = [store.rows.length, store.waiting];
        store.resume();
        return [...before, store.rows.map((row) => row.key)];"""
    shown, waiting, after = run("store.js", STORE % script)
    assert (shown, waiting) == (10, 20)
    assert after == [f"k{n}" for n in range(30)]


def test_a_pause_that_was_too_long_says_what_it_dropped(run: Run) -> None:
    script = """add(0, 10); store.pause(); add(10, 350);
        const waiting = store.waiting;
        const rows = store.resume();
        return [waiting, rows[0], rows.length];"""
    waiting, hole, rows = run("store.js", STORE % script)
    assert waiting == 340
    assert hole["hole"] is True
    assert hole["from"] == "p9"
    assert hole["missed"] + rows - 1 == 340


# -- painter.js ---------------------------------------------------------------------------------------------------

# A list whose rows cost scripts nothing and layout 40 ms: the browser calls a ResizeObserver while it lays out.
HEAVY = """(async () => {
  const list = document.body.appendChild(document.createElement("div"));
  let burnt = 0, shown = 0, sent = 0;
  const heavy = new ResizeObserver(() => {
    const began = performance.now();
    while (performance.now() - began < 40);
    burnt += performance.now() - began;
  });
  heavy.observe(list);
  const rows = {
    append: (some) => { shown += some.length; list.style.height = `${shown}px`; },
    reset() {}, limit() {}, toNewest() {},
  };
  const painter = new m.Painter(rows, { cap: 10000, rows: [], paused: false }, () => {});
  const began = performance.now();
  while (performance.now() - began < 1000) {
    painter.add([{ n: sent++ }]);
    await new Promise((done) => setTimeout(done, 2));
  }
  const share = burnt / (performance.now() - began);
  while (shown < sent) await new Promise((done) => setTimeout(done, 5));
  heavy.disconnect();
  list.remove();
  return { share, shown, sent };
})()"""


def test_a_page_whose_layout_is_slow_rests_and_draws_all(run: Run) -> None:
    found = run("painter.js", HEAVY)
    assert found["shown"] == found["sent"] > 0
    assert 0 < found["share"] < 0.5


# -- connection.js ------------------------------------------------------------------------------------------------


def test_waits_grow_and_are_spread(run: Run) -> None:
    assert run("connection.js", "[1, 2, 3, 4, 5, 50].map((n) => m.backOff(n, 2000, () => 0.5))") == [
        2000,
        4000,
        8000,
        16000,
        30000,
        30000,
    ]
    assert run("connection.js", "[0, 0.999].map((r) => m.backOff(1, 2000, () => r))") == [1000, 2998]


# -- positions.js, roster.js --------------------------------------------------------------------------------------

PLACE = "(() => { const place = new m.Place(a); return %s; })()"


def test_a_place_knows_what_it_has_had(run: Run) -> None:
    is_before = "b.map(([location, id]) => place.isBefore(location, id))"
    seen = [["0.5-1", "e.5-1"], ["0.5-2", "e.5-2"], ["0.5-10", "e.5-10"], ["0.10-0", "e.10-0"]]
    assert run("positions.js", PLACE % is_before, "e.5-2", seen) == [False, False, True, True]
    others = [["0.1-0", "f.1-0"], [None, None], ["1.9-0", "e.5-2,e.9-0"], ["0.5-2", None]]
    assert run("positions.js", PLACE % is_before, "e.5-2", others) == [True, True, True, False]
    moved = "(b.forEach((id) => place.advance(id)), place.id)"
    assert run("positions.js", PLACE % moved, "e.5-2", ["e.5-1", "e.7-0", None, "x"]) == "e.7-0"
    assert run("positions.js", PLACE % moved, "e.5-2,e.9-0", ["e.6-0,e.8-0", "f.1-0,e.9-1"]) == "f.1-0,e.9-1"


def test_one_stream_begins_where_the_slowest_stands(run: Run) -> None:
    script = """(() => {
        const roster = new m.Roster();
        for (const [id, channels, place, covered] of a) roster.set(id, {channels, place, visible: true, covered});
        return [roster.plan(b, c), roster.mixed];
    })()"""
    two = [["x", ["a"], "e.9-0", True], ["y", ["b*"], "e.5-0", False]]
    assert run("roster.js", script, two, ["a"], "e.9-0") == [
        {"channels": ["a", "b*"], "position": "e.5-0"},
        True,
    ]
    assert run("roster.js", script, two, None, None)[0]["position"] == "e.5-0"
    same = [["x", ["a"], "e.9-0", True], ["y", ["a"], "e.9-1", False]]
    assert run("roster.js", script, same, ["a"], "e.9-0") == [None, False]
    everything = [["x", ["a"], "e.9-0", True], ["y", [], "e.9-1", False]]
    assert run("roster.js", script, everything, ["a"], "e.9-0")[0] == {"channels": [], "position": "e.9-0"}


# -- moments.js, diff.js ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("10 min ago", "2025-11-21T22:37:55.123Z"),
        ("90s", "2025-11-21T22:46:25.123Z"),
        ("an hour ago", "2025-11-21T21:47:55.123Z"),
        ("1h 30m ago", "2025-11-21T21:17:55.123Z"),
        ("2 days ago", "2025-11-19T22:47:55.123Z"),
        ("Yesterday 17:30", "2025-11-20T17:30:00.000Z"),
        ("yesterday", "2025-11-20T00:00:00.000Z"),
        ("today 5pm", "2025-11-21T17:00:00.000Z"),
        ("17:30", "2025-11-21T17:30:00.000Z"),
        ("23:30", "2025-11-20T23:30:00.000Z"),
        ("friday 9:00", "2025-11-14T09:00:00.000Z"),
        ("Thu", "2025-11-20T00:00:00.000Z"),
        ("3 Nov 12:00:01.5", "2025-11-03T12:00:01.500Z"),
        ("Dec 24", "2024-12-24T00:00:00.000Z"),
        ("2025-11-21T09:00+01:00", "2025-11-21T08:00:00.000Z"),
        ("2025-11-21 09:00", "2025-11-21T09:00:00.000Z"),
        ("2025-11-21", "2025-11-21T00:00:00.000Z"),
        ("1763765275123", "2025-11-21T22:47:55.123Z"),
        ("now", "2025-11-21T22:47:55.123Z"),
        ("soon", None),
        ("2025-02-31", None),
        ("25:00", None),
        ("10 moons ago", None),
        ("7", None),
        ("", None),
    ],
)
def test_a_moment_in_human_words(run: Run, said: str, moment: str | None) -> None:
    at = run("moments.js", "m.momentOf(a, {now: 1763765275123, utc: true})", said)
    assert at == (moment and round(datetime.fromisoformat(moment).timestamp() * 1000))


def test_which_lines_differ(run: Run) -> None:
    lines = run("diff.js", "m.lineDiff(a, b)", "a\nb\nc\nd", "a\nc\nx\nd")
    assert lines == [[" ", "a"], ["-", "b"], [" ", "c"], ["+", "x"], [" ", "d"]]
    assert run("diff.js", "m.lineDiff(a, a)", "a\nb") == [[" ", "a"], [" ", "b"]]


# -- snippets.js, publish.js --------------------------------------------------------------------------------------


def test_a_message_as_a_command_and_as_code(run: Run) -> None:
    record = {
        "channel": "it's",
        "type": "t",
        "kind": "json",
        "raw": '{"a": "it\'s"}',
        "event": {"partitionkey": "k 1"},
    }
    assert run("snippets.js", "m.asCommand(a)", record) == (
        r"""python manage.py publish 'it'\''s' '{"a": "it'\''s"}' --type t --key 'k 1'"""
    )
    curl = run("snippets.js", "m.asCurl(a, b)", record, "http://x/publish/")
    assert curl.startswith('curl -sS http://x/publish/ \\\n  -b "sessionid=$SESSIONID; csrftoken=')
    assert shlex.split(curl)[-1] == """data={"a": "it's"}"""
    assert run("snippets.js", "m.asCurl(a, b)", record | {"kind": "binary"}, "") is None
    code = run("snippets.js", "m.asPython(a)", record)
    compile(code, "snippet", "exec")
    assert 'publish("it\'s", json.loads(' in code


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("", "empty", None),
        ('{"a": 1}', "json", None),
        ("hello", "text", None),
        ('{"a": }', "broken", 6),
        ("[1,", "broken", 3),
        ('"x', "text", None),
    ],
)
def test_the_box_tells_json_from_text(run: Run, text: str, kind: str, at: int | None) -> None:
    found = run("publish.js", "m.kindOf(a)", text)
    assert (found["kind"], found.get("at")) == (kind, at)


def test_times_and_sizes_in_words(run: Run) -> None:
    assert run("format.js", "[0, 999, 1500, 12345, 150e3, 8e6, 2e8, -5].map(m.span)") == [
        "0 ms",
        "999 ms",
        "1.5 s",
        "12 s",
        "3 min",
        "2 h",
        "2 d",
        "−5 ms",
    ]
    assert run("format.js", "[1, 1023, 8192, 126000, 5e6].map(m.size)") == [
        "1 byte",
        "1023 bytes",
        "8.0 KiB",
        "123 KiB",
        "4.8 MiB",
    ]
    shown = run("format.js", "m.clock(1763765275123, {utc: true, now: 1763765275123 + 86400000})")
    assert shown == {"date": "21 Nov ", "time": "22:47:55", "millis": ".123"}
