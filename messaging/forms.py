"""What a person fills in -> a message that can be published, or errors that stand at the right field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messaging.attributes import MAX_ATTRIBUTE, check_attribute, check_channel, check_headers
from messaging.decoder import NotAnEvent, decode
from messaging.entered import Kind, NotJson, data_of, looks_like_json
from messaging.errors import InvalidAttribute, InvalidChannel, InvalidMessage
from messaging.event import Event
from messaging.models import Message
from messaging.payload import TEXT, parse_json
from messaging.publisher import prepare, publish
from messaging.rendering import is_cut, pretty, visible

KINDS: tuple[tuple[Kind, Any], ...] = (
    ("auto", _("JSON or text (detected)")),
    ("json", _("JSON")),
    ("text", _("Text")),
)
_PLAIN_INPUT = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class PublishForm(forms.Form):
    """One message. Once it is valid, :meth:`publish` sends it."""

    channel = forms.CharField(
        label=_("Channel"),
        max_length=MAX_ATTRIBUTE,
        help_text=_("For example orders.created. Any name without spaces and without * ? [ ] \\."),
        widget=forms.TextInput(attrs={"class": "vTextField mono", "list": "channel-names", **_PLAIN_INPUT}),
    )
    payload = forms.CharField(
        label=_("Payload"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"class": "vLargeTextField mono payload", "rows": 14, **_PLAIN_INPUT}),
    )
    kind = forms.ChoiceField(
        label=_("Send it as"),
        choices=KINDS,
        initial="auto",
        required=False,
        help_text=_("Detected: JSON if it is JSON, else text. What begins with { or [ has to be JSON."),
    )
    type = forms.CharField(
        label=_("Type"),
        required=False,
        max_length=MAX_ATTRIBUTE,
        help_text=_("The kind of event. Left empty it is the channel's name."),
        widget=forms.TextInput(attrs={"class": "vTextField mono", **_PLAIN_INPUT}),
    )
    key = forms.CharField(
        label=_("Key"),
        required=False,
        max_length=MAX_ATTRIBUTE,
        help_text=_("What the message is about, for example a customer's number (CloudEvents partitionkey)."),
        widget=forms.TextInput(attrs={"class": "vTextField mono", **_PLAIN_INPUT}),
    )
    headers = forms.CharField(
        label=_("Headers"),
        required=False,
        help_text=_("One a line, name: value. Names have 1 to 20 lower-case letters and digits."),
        widget=forms.Textarea(attrs={"class": "vLargeTextField mono", "rows": 3, **_PLAIN_INPUT}),
    )

    @classmethod
    def initial_from(cls, message: Message) -> dict[str, str]:
        """A stored message as a template: what the fields show to begin with; no ``payload`` if it is no text."""
        event = message.as_event()
        editable = _editable(message)
        shown = {} if editable is None else {"kind": editable[0], "payload": editable[1]}
        return {
            "channel": event.channel,
            "type": "" if event.type == event.channel else event.type,
            "key": event.key,
            "headers": "\n".join(f"{name}: {value}" for name, value in event.headers.items()),
            **shown,
        }

    def clean_channel(self) -> str:
        channel: str = self.cleaned_data["channel"]
        try:
            check_channel(channel)
        except InvalidChannel as error:
            raise forms.ValidationError(_sentence(error), code="channel") from error
        return channel

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or "auto"

    def clean_payload(self) -> str:
        # A browser sends the line ends of a text area as CR LF, whatever was typed.
        return str(self.cleaned_data["payload"]).replace("\r\n", "\n")

    def clean_type(self) -> str:
        return self._attribute("type")

    def clean_key(self) -> str:
        return self._attribute("key")

    def clean_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in self.cleaned_data["headers"].splitlines():
            if not line.strip():
                continue
            name, colon, value = line.partition(":")
            if not colon:
                raise forms.ValidationError(
                    _("A header is a line “name: value”, not “%(line)s”."),
                    params={"line": line},
                    code="header",
                )
            if name.strip() in headers:
                raise forms.ValidationError(
                    _("The header “%(name)s” is given twice."), params={"name": name.strip()}, code="header"
                )
            headers[name.strip()] = value.strip()
        try:
            return check_headers(headers)
        except InvalidAttribute as error:
            raise forms.ValidationError(_sentence(error), code="header") from error

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if {"payload", "kind"} <= cleaned.keys():
            self._read_payload(cleaned["payload"], cleaned["kind"])
        if not self.errors:
            try:
                decode(prepare(**self._call())[1])
            except (InvalidMessage, NotAnEvent) as error:  # every other field has been checked on its own
                self.add_error("payload", forms.ValidationError(_sentence(error), code="payload"))
        return cleaned

    def publish(self) -> Event:
        """Publish it through the outbox, in the current transaction."""
        return publish(**self._call(), outbox=True)

    @property
    def may_be_text(self) -> bool:
        """Whether the payload was refused as JSON, and sending it as a text is a way out."""
        return any(error.code == "json" for error in self.errors.as_data().get("payload", ()))

    def _call(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        return {
            "channel": cleaned["channel"],
            "data": self._data,
            "type": cleaned["type"] or None,
            "key": cleaned["key"] or None,
            "headers": cleaned["headers"],
        }

    def _attribute(self, name: str) -> str:
        value: str = self.cleaned_data[name]
        if value:
            try:
                check_attribute(name, value)
            except InvalidAttribute as error:
                raise forms.ValidationError(_sentence(error), code=name) from error
        return value

    def _read_payload(self, text: str, kind: Kind) -> None:
        """The text area -> the data to publish, or an error there."""
        if not text.strip() and kind != "text":
            empty = _("There is nothing to send. An empty text goes out if you choose Text.")
            self.add_error("payload", forms.ValidationError(empty, code="required"))
            return
        try:
            self._data = data_of(text, kind)
        except NotJson as error:
            self.add_error("payload", forms.ValidationError(_no_json(text, error), code="json"))


def _no_json(text: str, error: NotJson) -> str:
    where = {"reason": error.reason, "line": error.line, "column": error.column}
    if looks_like_json(text):
        begins = (
            _("This begins like JSON but is not, at line %(line)d, column %(column)d: %(reason)s.") % where
        )
        return f"{begins} {_('Correct it, or choose Text to send it as it is.')}"
    return _("This is not JSON, at line %(line)d, column %(column)d: %(reason)s.") % where


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + "."


def _editable(message: Message) -> tuple[Kind, str] | None:
    """A stored payload -> how to send it again, and a text to edit; ``None`` for bytes that are no text."""
    if message.binary:
        try:
            text = message.payload_bytes.decode()
        except UnicodeDecodeError:
            return None
        return ("text", text) if _survives_typing(text) else None
    if not message.content_type.startswith(TEXT):
        return "json", message.payload if is_cut(message.payload, False) else pretty(message.payload, False)
    value = _value_of(message.payload)
    if isinstance(value, str) and _survives_typing(value):
        return "text", value
    return "json", message.payload


def _value_of(payload: str) -> Any:
    try:
        return parse_json(payload)
    except ValueError:
        return None


def _survives_typing(text: str) -> bool:
    """Whether a text area gives back what was put in."""
    return all(sign in "\n\t" or sign >= " " for sign in text) and visible(text) == text
