"""A dead letter's page -> a form with its arguments as JSON -> a new task; the dead letter stays as it is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.admin.attempts import shown_whole
from messaging.entered import NotJson, json_of
from messaging.errors import InvalidCall, TaskUnknown, TaskUnreadable
from messaging.taskqueue.job import Job
from messaging.taskqueue.payloads import decode_body


class ArgumentsForm(forms.Form):
    """Both fields are JSON; what stands in them was checked, ``value`` has it."""

    args = forms.CharField(
        label=_("Positional arguments"),
        help_text=_("A JSON list."),
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField mb-json", "spellcheck": "false"}),
    )
    kwargs = forms.CharField(
        label=_("Keyword arguments"),
        help_text=_("A JSON object."),
        widget=forms.Textarea(attrs={"rows": 10, "class": "vLargeTextField mb-json", "spellcheck": "false"}),
    )

    def clean_args(self) -> list[Any]:
        value = self._value("args")
        if not isinstance(value, list):
            raise forms.ValidationError(_('This is a JSON list: [1, "two"].'))
        return value

    def clean_kwargs(self) -> dict[str, Any]:
        value = self._value("kwargs")
        if not isinstance(value, dict):
            raise forms.ValidationError(_('This is a JSON object: {"order_id": 1}.'))
        return value

    def _value(self, name: str) -> Any:
        try:
            return msgspec.json.decode(json_of(self.cleaned_data[name]))
        except (NotJson, msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise forms.ValidationError(str(error)) from None


def initial(job: Job) -> dict[str, str] | None:
    """What the form begins with; ``None`` if it cannot be edited: it is unreadable, or parts of it are redacted."""
    try:
        body = decode_body(job.body)
    except TaskUnreadable:
        return None
    if not shown_whole(body):
        return None
    return {
        name: json.dumps(value, indent=2, ensure_ascii=False)
        for name, value in (("args", body.args), ("kwargs", body.kwargs))
    }


def refused(form: ArgumentsForm, error: InvalidCall | TaskUnknown | TaskUnreadable) -> None:
    """The task itself says no."""
    form.add_error(None, str(error))
