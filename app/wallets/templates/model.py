"""A pass template as the rest of the program holds it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from app.errors import PermanentFailure
from app.wallets.content import STANDARD_NAMES, PassContent
from app.wallets.images import StampArt
from app.wallets.templates.definition import Definition, Style
from app.wallets.text import Text, compile_text


class TemplateError(ValueError):
    """A template folder that cannot be used. The message names the file, the key and the remedy.

    `code` is stable and says which fault, as the lint's codes do.
    """

    def __init__(self, file: str, key: str, remedy: str, *, code: str = "template-invalid") -> None:
        super().__init__(f"{file}: {key}: {remedy}" if key else f"{file}: {remedy}")
        self.file, self.key, self.remedy, self.code = file, key, remedy, code


class UnknownTemplate(PermanentFailure):
    """A pass names a template whose folder is not there."""


@dataclass(frozen=True, eq=False)
class PassTemplate:
    """How a kind of pass looks. Made by `load_template`; every expression in it is known to compile.

    `texts` are the locales: language -> key -> text. `static_files` are Apple's, by path in the pass,
    the same for every member and language. `apple` is apple.json, `google` google.json, and `google_images`
    the pictures of images/google/ by file name. `samples` has a content per language.
    """

    name: str
    definition: Definition
    texts: Mapping[str, Mapping[str, str]]
    static_files: Mapping[str, bytes]
    stamp_art: StampArt | None
    apple: Mapping[str, Any]
    google: Mapping[str, Any]
    google_images: Mapping[str, bytes]
    samples: Mapping[str, PassContent]
    names: frozenset[str] = STANDARD_NAMES

    @property
    def style(self) -> Style:
        return self.definition.style

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages it speaks; the first is shown to everybody else."""
        return self.definition.languages

    def language_for(self, wanted: str) -> str:
        """The language a member who wants `wanted` ("ru", "ru-KZ") gets."""
        if wanted in self.texts:
            return wanted
        base = wanted.replace("_", "-").split("-")[0].lower()
        return base if base in self.texts else self.languages[0]

    def text(self, source: str, language: str) -> Text:
        """A string of the template ready to fill in: "@key" is looked up in the language's texts.

        Raises TextError for what cannot be compiled and KeyError for an unknown text.
        """
        if source.startswith("@@"):
            source = source[1:]
        elif source.startswith("@"):
            source = self.texts[language][source[1:]]
        return compile_text(source, self.names)

    def strings(self) -> Iterator[tuple[str, str, str]]:
        """Every string of template.toml, apple.json and google.json: file, path of keys, string."""
        trees = {
            "template.toml": self.definition.model_dump(exclude_unset=True),
            "apple.json": self.apple,
            "google.json": self.google,
        }
        for file, tree in trees.items():
            for where, source in _strings_of(tree):
                yield file, where, source

    def text_keys(self) -> frozenset[str]:
        """The texts of the locales that the template refers to."""
        sources = [source for _, _, source in self.strings()]
        return frozenset(each[1:] for each in sources if each.startswith("@") and not each.startswith("@@"))

    def used_names(self) -> frozenset[str]:
        """The names of values that its expressions use, in any language."""
        texts = (
            self.text(source, language) for _, _, source in self.strings() for language in self.languages
        )
        return frozenset(name for text in texts for name in text.names)


def _strings_of(tree: object, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield where, tree
    elif isinstance(tree, Mapping):
        for key, value in cast("Mapping[str, object]", tree).items():
            yield from _strings_of(value, f"{where}.{key}" if where else key)
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(cast("list[object]", tree)):
            yield from _strings_of(value, f"{where}.{index}")
