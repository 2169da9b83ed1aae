"""The quarantine's pages: one entry, ticked ones or all of a filter are stored again or discarded, after a question."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from messaging import quarantine as service
from messaging.admin import quarantine
from messaging.event import encode, new_event
from messaging.models import Message, Quarantine
from tests.admin.conftest import Staff

URL = "/admin/messaging/quarantine/"


def entry(number: int, *, good: bool = False, reason: str = "not JSON") -> Quarantine:
    body = encode(new_event("orders", {"n": number}, source="/tests")) if good else b"secret{"
    return Quarantine.objects.create(
        partition=0, epoch="e" * 16, log_ms=1763765275123, log_seq=number, reason=reason, body=body,
        quarantined_at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip


def ask(client: Client, action: str, *rows: Quarantine, query: str = "", **more: str) -> str:
    """What an action says when it is chosen, or done with `post="yes"`."""
    ticked = [row.pk for row in rows] or [0]
    data = {"action": action, "_selected_action": ticked, **more}
    response = client.post(f"{URL}?{query}", data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def hidden(html: str) -> dict[str, str]:
    """The hidden fields of the confirmation's form."""
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    return {name: value for name, value in found.items() if name in ("select_across", "until", "post")}


def logged() -> list[str]:
    return sorted(each.change_message for each in LogEntry.objects.all())


def test_one_entry_is_stored_from_its_page(admin: Client) -> None:
    row = entry(1, good=True)
    page = admin.get(f"{URL}{row.pk}/change/").content.decode()
    assert f'formaction="{URL}{row.pk}/retry/"' in page
    assert f"{URL}{row.pk}/delete/" in page
    assert admin.get(f"{URL}{row.pk}/retry/").status_code == 302
    assert Quarantine.objects.exists()
    said = admin.post(f"{URL}{row.pk}/retry/", follow=True).content.decode()
    assert "1 entry is in the table now." in said
    assert Message.objects.get().location == row.location
    assert not Quarantine.objects.exists()
    assert logged() == ["Retried: stored in the table."]


def test_a_bad_one_stays_with_its_new_reason(admin: Client) -> None:
    row = entry(1, reason="an old reason")
    said = admin.post(f"{URL}{row.pk}/retry/", follow=True).content.decode()
    assert "1 entry stays in quarantine: " in said
    assert Quarantine.objects.get().reason != "an old reason"
    assert logged() == ["Retried: refused again."]
    assert "secret" not in LogEntry.objects.get().object_repr


def test_ticked_ones_after_a_question_that_names_their_number(admin: Client) -> None:
    rows = [entry(1, good=True), entry(2), entry(3, good=True)]
    html = ask(admin, "retry", *rows[:2])
    assert "These 2 entries are stored again" in html
    assert 'class="default" value="Store 2 entries again"' in html
    assert 'class="mb-remove" value="Discard 2 entries"' in ask(admin, "delete_selected", *rows[:2])
    assert Quarantine.objects.count() == 3
    said = ask(admin, "retry", *rows[:2], **hidden(html))
    assert "1 entry is in the table now." in said
    assert "1 entry stays in quarantine" in said
    assert [row.pk for row in Quarantine.objects.order_by("pk")] == [rows[1].pk, rows[2].pk]


def test_all_of_a_filter_and_none_that_came_after_the_question(admin: Client) -> None:
    others = [entry(n, reason="refused") for n in range(3)]
    rows = [entry(10 + n) for n in range(60)]  # more than a page
    html = ask(admin, "delete_selected", query="q=not+JSON", select_across="1")
    assert "These 60 entries are removed" in html
    assert "<code>q=not+JSON</code>" in html
    assert "and 55 more" in html
    new = entry(100)
    said = ask(admin, "delete_selected", query="q=not+JSON", **hidden(html))
    assert "60 entries were discarded." in said
    assert {row.pk for row in Quarantine.objects.all()} == {row.pk for row in [*others, new]}
    assert len(logged()) == len(rows)


def test_too_many_for_one_request(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST", 2)
    for n in range(3):
        entry(n)
    assert "At most 2 entries can be chosen" in ask(admin, "retry", select_across="1")


def test_each_action_has_its_permission(staff: Staff) -> None:
    row = entry(1, good=True)
    reader = staff("view_quarantine")
    page = reader.get(f"{URL}{row.pk}/change/").content.decode()
    assert "/retry/" not in page
    assert "/delete/" not in page
    assert reader.post(f"{URL}{row.pk}/retry/").status_code == 403
    assert reader.get(URL).context["action_form"] is None
    retrier = staff("view_quarantine", "retry_quarantine")
    assert [name for name, _ in retrier.get(URL).context["action_form"].fields["action"].choices] == [
        "",
        "retry",
    ]
    remover = staff("view_quarantine", "delete_quarantine")
    ask(remover, "retry", row, post="yes")
    assert Quarantine.objects.exists()
    ask(remover, "delete_selected", row, post="yes")
    assert not Quarantine.objects.exists()
    assert not Message.objects.exists()


def test_an_entry_that_is_gone_meanwhile(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = entry(1)
    monkeypatch.setattr(quarantine, "retry", lambda ids: service.retry([]))
    assert "not in quarantine any more" in admin.post(f"{URL}{row.pk}/retry/", follow=True).content.decode()
