"""pass.strings: one file per language, so that one pass speaks all of them.

Fixed texts (labels, change messages, terms) follow the phone's language: Wallet looks each string of
pass.json up in the phone's pass.strings. Texts with values in them follow the member's language, which the
SMS and the news are in too: a string table cannot decline a noun or write a date. pass.json carries the
fixed texts in the member's language as well, so a wallet without string tables shows one language throughout,
and therefore each table translates from every other language of the template.
"""

from collections.abc import Mapping

from app.wallets.text import compile_text


class AmbiguousText(ValueError):
    """One text of a language stands for two different texts of another."""


def pass_strings(texts: Mapping[str, Mapping[str, str]]) -> dict[str, bytes]:
    """The string tables by path in the pass ("ru.lproj/pass.strings"), UTF-8.

    Raises AmbiguousText where a table would have to translate the same words in two ways.
    """
    if len(texts) < 2:
        return {}
    return {f"{language}.lproj/pass.strings": _file(_table(texts, language)) for language in texts}


def _table(texts: Mapping[str, Mapping[str, str]], language: str) -> dict[str, str]:
    table: dict[str, str] = {}
    keys: dict[str, str] = {}
    for other, others in texts.items():
        for key, words in others.items():
            translation = texts[language].get(key)
            if translation is None or not _is_fixed(words) or not _is_fixed(translation):
                continue
            known = table.setdefault(words, translation)
            if known != translation:
                raise AmbiguousText(
                    f"texts {keys[words]!r} and {key!r} are both {words!r} in {other!r} or {language!r} "
                    f"but {known!r} and {translation!r} in {language!r}: word them differently"
                )
            keys.setdefault(words, key)
    return {words: translation for words, translation in table.items() if words != translation}


def _is_fixed(text: str) -> bool:
    return compile_text(text).fixed is not None


def _file(table: Mapping[str, str]) -> bytes:
    lines = [f'"{_escaped(words)}" = "{_escaped(translation)}";\n' for words, translation in table.items()]
    return "".join(lines).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
