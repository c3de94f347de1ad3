"""What one class or object is filled from, and how a text of the template becomes Google's JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from app.wallets.content import PassContent, Value
from app.wallets.formats import Formats, formats_for
from app.wallets.templates import PassTemplate
from app.wallets.text import Text, cleaned

Json = dict[str, Any]

# What all members of a programme share: a text with no other name in it can be told in every language.
SHARED_NAMES = frozenset({"program_name"})


@dataclass(frozen=True)
class Shown:
    """A template with one content. `image_url` gives a picture the public address Google fetches it from."""

    template: PassTemplate
    content: PassContent
    image_url: Callable[[bytes], str]

    @cached_property
    def language(self) -> str:
        return self.template.language_for(self.content.language)

    @cached_property
    def values(self) -> dict[str, Value]:
        return {**self.content.values, "barcode": self.content.barcode}

    def formats(self, language: str) -> Formats:
        content = self.content
        return formats_for(language, content.country, content.currency, content.time_zone)

    def text(self, source: str) -> str:
        """A string of the template in the content's language."""
        return self._rendered(self._compiled(source, self.language), self.language)

    def value(self, source: str) -> Value:
        """The number or date itself where the string is a lone expression, else its text."""
        return self._compiled(source, self.language).value(self.values, self.formats(self.language))

    def amount(self, source: str) -> Value:
        """The number behind a text that writes one, such as "{{ points|money }}"; else the text."""
        names = self._compiled(source, self.language).names
        return self.values.get(next(iter(names))) if len(names) == 1 else self.value(source)

    def is_shared(self, source: str) -> bool:
        """Whether a string says the same for every member of the programme."""
        return all(
            self._compiled(source, language).names <= SHARED_NAMES for language in self.template.languages
        )

    def localized(self, source: str) -> Json:
        """A LocalizedString: in every language of the template where the members share it, else in one."""
        words = {"defaultValue": {"language": self.language, "value": self.text(source)}}
        translations = self.translations(source)
        return words | {"translatedValues": translations} if translations else words

    def translations(self, source: str) -> list[Json]:
        """The other languages of a string that all members share, where they differ."""
        if not self.is_shared(source):
            return []
        here = self.text(source)
        others = {
            language: self._rendered(self._compiled(source, language), language)
            for language in self.template.languages
            if language != self.language
        }
        return [
            {"language": language, "value": text}
            for language, text in others.items()
            if text not in (here, "")
        ]

    def named(self, key: str, source: str) -> Json:
        """A text under `key` and, where it has translations, under "localizedKey" too. Nothing when empty."""
        text = self.text(source) if source else ""
        if not text:
            return {}
        localized = {f"localized{key[0].upper()}{key[1:]}": self.localized(source)}
        return {key: text} | (localized if self.translations(source) else {})

    def either(self, key: str, source: str) -> Json:
        """A text under `key` or under "localizedKey": where both stand, Google shows one after the other."""
        named = self.named(key, source)
        return named if len(named) < 2 else {name: value for name, value in named.items() if name != key}

    def image(self, data: bytes, source: str) -> Json:
        """A picture of ours, with the words for those who do not see it."""
        image: Json = {"sourceUri": {"uri": self.image_url(data)}}
        return image | ({"contentDescription": self.localized(source)} if self.text(source) else {})

    def moment(self, source: datetime | str | None) -> str:
        """A date-time with its offset, "2026-02-01T08:00:00+05:00"; "" where there is none."""
        value = self.value(source) if isinstance(source, str) else source
        if isinstance(value, datetime):
            return value.astimezone(self.formats(self.language).time_zone).isoformat(timespec="seconds")
        if isinstance(value, date):
            return value.isoformat()
        return cleaned(str(value)) if value else ""

    def _compiled(self, source: str, language: str) -> Text:
        return self.template.text(source, language)

    def _rendered(self, text: Text, language: str) -> str:
        return text.render(self.values, self.formats(language)).strip()


def given(**keys: Any) -> Json:
    """The keys that have something to say."""
    return {key: value for key, value in keys.items() if value not in ("", None, [], {}, ())}
