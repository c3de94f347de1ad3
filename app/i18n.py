"""The languages of the interface: texts by key, and which language a request speaks.

A page's texts stand in `app/web/texts/<language>.toml`; a key missing in one language is an error at
start-up, so that no page is ever half translated.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

LANGUAGES = ("en", "ru")


class MissingText(Exception):
    """A text exists in one language of the interface and not in another."""


@dataclass(frozen=True)
class Texts:
    """The interface's texts: `texts.get("ru", "form.send")`."""

    by_language: Mapping[str, Mapping[str, str]]

    def get(self, language: str, key: str, **values: str | int) -> str:
        """The text of a dotted key, with {names} filled in. Raises KeyError for an unknown key."""
        return self.by_language[language][key].format_map(values)


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
    ranked: list[tuple[float, str]] = []
    for part in (accept_language or "")[:200].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            ranked.append((float(quality or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    for _, tag in sorted(ranked, key=lambda pair: -pair[0]):
        if tag in available:
            return tag
    return default


def _flattened(tree: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flattened(cast("Mapping[str, object]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
