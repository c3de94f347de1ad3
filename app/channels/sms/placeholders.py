"""Templates with named placeholders, filled string by string in one pass.

A template is any JSON value; "{text}" in its strings stands for a value. What a value brings in is never
looked at again, so quotes, braces and placeholders in a text stay text.
"""

import re
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
Values = Mapping[str, str | None]


class WrongTemplate(ValueError):
    """A placeholder that does not exist, or a template of the wrong shape; the message names the field."""


def check_names(where: str, template: object, allowed: frozenset[str]) -> None:
    """Raise WrongTemplate for a placeholder in `template`, the field `where`, that is not `allowed`."""
    if isinstance(template, dict):
        for value in cast("dict[str, object]", template).values():
            check_names(where, value, allowed)
    elif isinstance(template, list):
        for value in cast("list[object]", template):
            check_names(where, value, allowed)
    elif isinstance(template, str):
        unknown = set(_PLACEHOLDER.findall(template)) - allowed
        if unknown:
            raise WrongTemplate(
                f"{where}: unknown {{{min(unknown)}}}; there are {', '.join(sorted(allowed))}"
            )


def fill(template: object, values: Values) -> object:
    """The template with its values; a field that is exactly "{sender}" is left out where there is none."""
    if isinstance(template, dict):
        return {
            name: fill(value, values)
            for name, value in cast("dict[str, object]", template).items()
            if not (value == "{sender}" and values["sender"] is None)
        }
    if isinstance(template, list):
        return [fill(value, values) for value in cast("list[object]", template)]
    return fill_text(template, values) if isinstance(template, str) else template


def fill_text(template: str, values: Values) -> str:
    """One string with its values; a value of None becomes nothing."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]] or "", template)


def fill_url(template: str, values: Values) -> str:
    """An address with its values percent-encoded, so that none adds a path or a parameter."""
    return fill_text(template, {name: quote(value or "", safe="") for name, value in values.items()})
