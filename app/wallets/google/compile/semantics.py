"""The template's semantic tags (Apple's names for seats, gates, airports), read for Google."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from app.wallets.google.compile.shown import Json, Shown


class Semantics:
    """What the tags say for one content; an absent tag says nothing."""

    def __init__(self, shown: Shown, tags: Mapping[str, Any] | None = None) -> None:
        self._shown = shown
        self._tags = shown.template.definition.semantics if tags is None else tags

    def source(self, key: str) -> str:
        """The template's string under a tag, as it is written there."""
        value = self._tags.get(key)
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def text(self, *keys: str) -> str:
        """The first of these tags that says something."""
        return next((text for key in keys if (text := self._shown.text(self.source(key)))), "")

    def localized(self, *keys: str) -> Json:
        """The same as a LocalizedString; empty where no tag says anything."""
        sources = [source for key in keys if self._shown.text(source := self.source(key))]
        return self._shown.localized(sources[0]) if sources else {}

    def first(self, key: str) -> "Semantics":
        """The first object of a list of tags ("seats")."""
        value = self._tags.get(key)
        items = cast("list[Any]", value) if isinstance(value, list | tuple) else []
        first: object = items[0] if items else None
        return Semantics(self._shown, cast("dict[str, Any]", first) if isinstance(first, dict) else {})

    def below(self, key: str) -> "Semantics":
        """The object under a tag ("passengerName")."""
        value = self._tags.get(key)
        return Semantics(self._shown, cast("dict[str, Any]", value) if isinstance(value, dict) else {})

    def moment(self, *keys: str) -> str:
        """A date-time with its offset."""
        value = self._value(*keys)
        return self._shown.moment(value) if isinstance(value, datetime) else str(value or "")

    def local(self, *keys: str, zone_key: str) -> str:
        """A date-time on the clocks of the place in `zone_key`, without an offset: so Google has flights."""
        value = self._value(*keys)
        if not isinstance(value, datetime):
            return str(value or "")
        zone = self.text(zone_key) or self._shown.content.time_zone
        return value.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat(timespec="seconds")

    def person(self, key: str) -> str:
        """A name given whole or in parts; else the member's."""
        parts = self.below(key)
        name = " ".join(part for each in ("givenName", "familyName") if (part := parts.text(each)))
        return self.text(key) or name or self._shown.text("{{ member_name }}")

    def _value(self, *keys: str) -> object:
        for key in keys:
            tag = self._tags.get(key)
            value = self._shown.value(tag) if isinstance(tag, str) else tag
            if isinstance(value, str):
                value = _moment_of(value)
            if value:
                return value
        return None


def _moment_of(text: str) -> object:
    """A moment written with its offset; any other text stays one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else text
