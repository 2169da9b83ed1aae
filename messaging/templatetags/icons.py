"""An icon's name -> the `<svg>` that shows it, drawn from the sprite of messaging/icons.html."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """``{% icon "pause" %}``; ``extra`` is one more CSS class. Decorative: the control carries the label."""
    return format_html('<svg class="icon {}" aria-hidden="true"><use href="#i-{}"></use></svg>', extra, name)
