"""The words of a campaign: what they may name, how they look for one member, what is wrong with them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.campaigns.definition import Definition, InvalidDefinition
from app.channels.sms import segments as sms
from app.members.models import Program
from app.wallets.content import Value
from app.wallets.formats import formats_for
from app.wallets.text import TextError, compile_text

ANSWER = "answer_"
MESSAGE_MAX = 512  # what a pass keeps
# iOS shows about four lines of a notification on the lock screen; Android cuts sooner.
LOCK_SCREEN_MAX = 110
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
_WORD = re.compile(r"\w+")

# What a text may name besides the answers to the forms' questions, each from a member's row.
OF_A_MEMBER = ("member_name", "card_number", "points", "tier", "member_since", "birthday")
OF_THE_CAMPAIGN = ("program_name", "bonus")  # bonus: the points this campaign gives
_DATES = ("member_since", "birthday")


@dataclass(frozen=True)
class Warning:
    """Something that will not look as meant. `code` is stable."""

    where: str
    code: str
    text: str


def names_of(questions: Iterable[str]) -> frozenset[str]:
    """What a text may name, where the forms ask these questions."""
    return frozenset((*OF_A_MEMBER, *OF_THE_CAMPAIGN, *(ANSWER + key for key in questions)))


def texts_of(definition: Definition) -> dict[str, str]:
    """Every text of a campaign by its place, such as "/variants/0/texts/ru"."""
    found = {f"/texts/{language}": text for language, text in definition.texts.items()}
    for number, variant in enumerate(definition.variants):
        found |= {f"/variants/{number}/texts/{each}": text for each, text in variant.texts.items()}
    found |= {f"/subjects/{language}": text for language, text in definition.subjects.items()}
    for number, each in enumerate(definition.follow_ups):
        found |= {f"/follow_ups/{number}/texts/{name}": text for name, text in each.texts.items()}
        found |= {f"/follow_ups/{number}/subjects/{name}": text for name, text in each.subjects.items()}
    if definition.fallback:
        found |= {f"/fallback/texts/{each}": text for each, text in definition.fallback.texts.items()}
        found |= {f"/fallback/subjects/{each}": text for each, text in definition.fallback.subjects.items()}
    return found


def used_names(definition: Definition, known: frozenset[str]) -> frozenset[str]:
    """The names that the texts use. Raises InvalidDefinition for a text that is not in the language."""
    used: set[str] = set()
    for place, source in texts_of(definition).items():
        try:
            used |= compile_text(source, known).names
        except TextError as error:
            raise InvalidDefinition(place, str(error).replace(", or add it to sample.json", "")) from error
    return frozenset(used)


def is_fixed(source: str) -> bool:
    """Whether a text is the same for everybody."""
    return compile_text(source).fixed is not None


def render(source: str, facts: Mapping[str, Any], program: Program, language: str, *, bonus: int) -> str:
    """The text as one member reads it, from the facts of the plan."""
    text = compile_text(source)
    if text.fixed is not None:
        return text.fixed.strip()[:MESSAGE_MAX]
    values: dict[str, Value] = {name: _value(name, value) for name, value in facts.items()}
    values |= {"program_name": program.name, "bonus": bonus}
    formats = formats_for(language, program.country, program.currency, program.time_zone)
    return text.render(values, formats).strip()[:MESSAGE_MAX]


def _value(name: str, value: Any) -> Value:
    if name in _DATES and isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def warnings_of(definition: Definition, program: Program, sample: Mapping[str, Any]) -> list[Warning]:
    """What will not look as meant, with a sample member's facts in the texts."""
    found = _one_rings(definition)
    for place, source in texts_of(definition).items():
        language = place.rpartition("/")[2]
        shown = render(source, sample, program, language, bonus=definition.points)
        channel = _channel(definition, place)
        if channel == "wallet":
            found += _on_a_screen(place, shown)
        elif channel == "sms":
            found += _in_an_sms(place, shown)
        found += _mixed(place, shown)
    return found


def _channel(definition: Definition, place: str) -> str:
    """The channel a text goes out on."""
    if place.startswith("/fallback/"):
        return definition.fallback.channel if definition.fallback else "wallet"
    if place.startswith("/follow_ups/"):
        return definition.follow_ups[int(place.split("/")[2])].channel
    return definition.channel


def _one_rings(definition: Definition) -> list[Warning]:
    """iOS shows one notification for a change, of the first field that changed: mostly the balance."""
    if not any(definition.points_of(arm.name) for arm in definition.arms):
        return []
    said = (
        "with points, an iPhone's lock screen shows the new balance; the text stands on the back of the card"
    )
    return [Warning("/points", "points-ring-first", said)]


def _on_a_screen(place: str, shown: str) -> list[Warning]:
    if len(shown) <= LOCK_SCREEN_MAX:
        return []
    said = f"{len(shown)} characters: lock screens show about the first {LOCK_SCREEN_MAX}"
    return [Warning(place, "too-long-for-lock-screen", said)]


def _in_an_sms(place: str, shown: str) -> list[Warning]:
    counted = sms.count(shown)
    if counted.parts == 1:
        return []
    said = f"{counted.parts} SMS each: {counted.units} units in {counted.encoding}"
    return [Warning(place, "several-sms", said)]


def _mixed(place: str, shown: str) -> list[Warning]:
    """Letters of two scripts in one word: a look-alike slipped in, and searches and SMS will show it."""
    for word in _WORD.findall(shown):
        scripts = {
            script
            for letter in word
            if letter.isalpha()
            for script in _SCRIPTS
            if unicodedata.name(letter, "").startswith(script)
        }
        if len(scripts) > 1:
            return [
                Warning(place, "mixed-scripts", f"{word!r} has letters of {' and '.join(sorted(scripts))}")
            ]
    return []
