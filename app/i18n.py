"""The languages of the interface: texts by key, and which language a request speaks.

A page's texts stand in `app/web/texts/<language>.toml`; a key missing in one language is an error at
start-up, so that no page is ever half translated.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

LANGUAGES = ("en", "ru")
_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")


class MissingText(Exception):
    """A text exists in one language of the interface and not in another."""


@dataclass(frozen=True)
class Texts:
    """The interface's texts: `texts.get("ru", "form.send")`."""

    by_language: Mapping[str, Mapping[str, str]]

    def get(self, language: str, key: str, **values: str | int) -> str:
        """The text of a dotted key, with {names} filled in; English where the language has no texts.

        Raises KeyError for an unknown key.
        """
        texts = self.by_language.get(language) or self.by_language[LANGUAGES[0]]
        return texts[key].format_map(values)


def load_texts(folder: Path) -> Texts:
    """Read `<language>.toml` for every language of the interface. Raises MissingText naming the keys."""
    by_language = {
        language: dict(_flattened(tomllib.loads((folder / f"{language}.toml").read_text("utf-8"))))
        for language in LANGUAGES
    }
    every_key = set[str]().union(*by_language.values())
    for language, texts in by_language.items():
        if missing := every_key - texts.keys():
            raise MissingText(f"{folder / language}.toml lacks {', '.join(sorted(missing))}")
    return Texts(by_language)


def choose_language(
    wanted: str | None, accept_language: str | None, available: Iterable[str] = LANGUAGES, default: str = "en"
) -> str:
    """The language to answer in: the one asked for, else the browser's best, else the default.

    `accept_language` is the header, such as "ru-RU,ru;q=0.9,en;q=0.8"; hostile values choose the default.
    """
    available = list(available)
    if wanted is not None and wanted in available:
        return wanted
    found = (_ranked(part) for part in (accept_language or "")[:200].split(","))
    ranked = [each for each in found if each is not None and each[1] in available]
    return max(ranked, key=lambda each: each[0])[1] if ranked else default


def _ranked(part: str) -> tuple[float, str] | None:
    """(0.8, "en") for "en-GB;q=0.8"; None for what is refused (q=0) or is no language. RFC 9110, 12.5.4."""
    tag, *parameters = (each.strip() for each in part.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    if not _QUALITY.fullmatch(quality) or float(quality) == 0:
        return None
    return float(quality), tag.partition("-")[0].lower()


def _flattened(tree: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flattened(cast("Mapping[str, object]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
