"""A number -> how pages write it."""

from django import template

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """12,345"""
    return f"{number:,}"
