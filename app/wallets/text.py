"""Texts with expressions in them, such as "{{ points|number }} points": a small language that cannot do harm.

Jinja2 is used for its parser only. The syntax tree is held against an allow-list (text, names, constants,
filters of ours, if/else, comparisons) and turned into functions of our own: no attribute, call, loop or
arithmetic exists here, and values are scalars that are never parsed again.
"""

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote

from jinja2 import Environment, TemplateSyntaxError, nodes

from app.wallets.content import Value
from app.wallets.formats import DATE_FORMATS, Formats

LENGTH_MAX = 4000  # of a text, in characters
NODES_MAX = 200
CONSTANT_MAX = 200

Run = Callable[[Mapping[str, Value], Formats], Value]


class TextError(ValueError):
    """A text that is not in the allowed language. The message says which part, and what to write instead.

    `code` is stable: text-not-allowed, unknown-name or unknown-filter.
    """

    def __init__(self, message: str, *, code: str = "text-not-allowed") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, eq=False)
class Text:
    """A text ready to be filled in. `fixed` is the whole text where it holds no expression."""

    source: str
    names: frozenset[str]
    fixed: str | None
    lone: Run | None  # the expression, where the text is one expression and nothing else
    _parts: tuple[Run, ...]

    def render(self, values: Mapping[str, Value], formats: Formats) -> str:
        """The text with its values in it. Never raises: a name without a value shows as nothing."""
        if self.fixed is not None:
            return self.fixed
        if len(self._parts) == 1:
            return cleaned(formats.text(self._parts[0](values, formats)))
        return cleaned("".join([formats.text(part(values, formats)) for part in self._parts]))

    def value(self, values: Mapping[str, Value], formats: Formats) -> Value:
        """The scalar itself where the text is a lone expression, else the rendered text."""
        return self.lone(values, formats) if self.lone else self.render(values, formats)


@lru_cache(maxsize=4096)
def compile_text(source: str, names: frozenset[str] | None = None) -> Text:
    """A text compiled once. `names` are those it may use; None allows any.

    Raises TextError.
    """
    if len(source) > LENGTH_MAX:
        raise TextError(f"the text has {len(source)} characters; at most {LENGTH_MAX} are allowed")
    try:
        tree = _PARSER.parse(source)
    except TemplateSyntaxError as error:
        raise TextError(f"syntax: {error.message}") from error
    except RecursionError as error:
        raise TextError("the text is nested too deeply") from error
    found = list(tree.find_all(nodes.Node))
    if len(found) > NODES_MAX:
        raise TextError(f"the text has {len(found)} parts; at most {NODES_MAX} are allowed")
    used = frozenset(node.name for node in found if isinstance(node, nodes.Name))
    _refuse_unknown(used, names)

    outputs = [part for node in tree.body for part in _outputs(node)]
    fixed = _fixed(outputs)
    parts = tuple(_output(part) for part in outputs)
    return Text(
        source=source,
        names=used,
        fixed=fixed,
        lone=parts[0] if len(parts) == 1 and fixed is None and not isinstance(outputs[0], nodes.If) else None,
        _parts=parts,
    )


# C0 and C1 controls except tab and line feed, direction overrides and isolates, lone surrogates: none is
# text, and an override in a member's name can turn round the words beside it.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def cleaned(text: str) -> str:
    """The text without control characters, direction overrides and broken surrogates."""
    return text if text.isprintable() else _NOT_TEXT.sub("", text)


_PARSER = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 -- parses, never renders


def _refuse_unknown(used: Collection[str], names: frozenset[str] | None) -> None:
    for name in sorted(used):
        if names is not None and name not in names:
            known = ", ".join(sorted(names))
            raise TextError(
                f"unknown name {name!r}: use one of {known}, or add it to sample.json", code="unknown-name"
            )


def _outputs(node: nodes.Node) -> list[nodes.Node]:
    """The pieces of a top-level node: an Output holds several, an If is one."""
    if isinstance(node, nodes.Output):
        return list(node.nodes)
    if isinstance(node, nodes.If):
        return [node]
    raise _refused(node)


def _fixed(outputs: list[nodes.Node]) -> str | None:
    if not all(isinstance(part, nodes.TemplateData) for part in outputs):
        return None
    return cleaned("".join(cast("nodes.TemplateData", part).data for part in outputs))


def _output(node: nodes.Node) -> Run:
    if isinstance(node, nodes.TemplateData):
        return _constant(node.data)
    if isinstance(node, nodes.If):
        return _if(node)
    return _expression(node)


def _body(body: list[nodes.Node]) -> Run:
    parts = [_output(part) for node in body for part in _outputs(node)]
    if len(parts) == 1:
        return parts[0]
    return lambda values, formats: "".join([formats.text(part(values, formats)) for part in parts])


def _if(node: nodes.If) -> Run:
    branches = [(_expression(branch.test), _body(branch.body)) for branch in (node, *node.elif_)]
    otherwise = _body(node.else_)

    def run(values: Mapping[str, Value], formats: Formats) -> Value:
        for test, body in branches:
            if test(values, formats):
                return body(values, formats)
        return otherwise(values, formats)

    return run


def _expression(node: nodes.Node) -> Run:
    build = _EXPRESSIONS.get(type(node))
    if build is None:
        raise _refused(node)
    return build(node)


def _refused(node: nodes.Node) -> TextError:
    return TextError(
        f"{type(node).__name__.lower()} is not allowed here: write names, filters, "
        "if/else and comparisons only"
    )


def _name(node: nodes.Name) -> Run:
    name = node.name
    return lambda values, formats: values.get(name)


def _const(node: nodes.Const) -> Run:
    return _constant(_checked_constant(node))


def _checked_constant(node: nodes.Node) -> Value:
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str | int | None):
        raise TextError("a filter's arguments are texts and whole numbers")
    if len(str(node.value)) > CONSTANT_MAX:
        raise TextError(f"a constant is longer than {CONSTANT_MAX} characters")
    return node.value


def _constant(value: Value) -> Run:
    return lambda values, formats: value


def _not(node: nodes.Not) -> Run:
    inner = _expression(node.node)
    return lambda values, formats: not inner(values, formats)


def _and(node: nodes.And) -> Run:
    left, right = _expression(node.left), _expression(node.right)
    return lambda values, formats: left(values, formats) and right(values, formats)


def _or(node: nodes.Or) -> Run:
    left, right = _expression(node.left), _expression(node.right)
    return lambda values, formats: left(values, formats) or right(values, formats)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def _compare(node: nodes.Compare) -> Run:
    if len(node.ops) != 1 or node.ops[0].op not in _COMPARISONS:
        raise TextError("compare two things with ==, !=, <, <=, > or >=; join comparisons with 'and'")
    left, right = _expression(node.expr), _expression(node.ops[0].expr)
    compare = _COMPARISONS[node.ops[0].op]

    def run(values: Mapping[str, Value], formats: Formats) -> bool:
        try:
            return compare(left(values, formats), right(values, formats))
        except TypeError:  # a number against a text or nothing: such a comparison is never true
            return False

    return run


def _filter(node: nodes.Filter) -> Run:
    if node.name not in FILTERS:
        known = ", ".join(sorted(FILTERS))
        raise TextError(f"unknown filter {node.name!r}: use one of {known}", code="unknown-filter")
    if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise TextError(f"filter {node.name!r}: give plain arguments, without names or stars")
    apply, fewest, most = FILTERS[node.name]
    arguments = tuple(_checked_constant(argument) for argument in node.args)
    if not fewest <= len(arguments) <= most:
        raise TextError(f"filter {node.name!r} takes {fewest} to {most} arguments, not {len(arguments)}")
    if node.name in ("date", "date_time", "time") and not {*arguments} <= {*DATE_FORMATS}:
        raise TextError(f"filter {node.name!r}: the width is one of {', '.join(DATE_FORMATS)}")
    inner = _expression(node.node)
    if not arguments:
        return lambda values, formats: apply(formats, inner(values, formats))
    return lambda values, formats: apply(formats, inner(values, formats), *arguments)


def _default(formats: Formats, value: Value, instead: Value, *_: Value) -> Value:
    return instead if value is None or value == "" else value


def _on_text(change: Callable[[str], str]) -> Callable[..., Value]:
    def apply(formats: Formats, value: Value) -> str:
        return change(formats.text(value))

    return apply


# Each filter with the fewest and the most arguments it takes.
FILTERS: dict[str, tuple[Callable[..., Value], int, int]] = {
    "number": (Formats.number, 0, 0),
    "money": (Formats.money, 0, 1),
    "percent": (Formats.percent, 0, 0),
    "basis_points": (Formats.basis_points, 0, 0),
    "date": (Formats.date, 0, 1),
    "time": (Formats.time, 0, 1),
    "date_time": (Formats.date_time, 0, 1),
    "plural": (Formats.plural, 1, 6),
    "default": (_default, 1, 2),
    "upper": (_on_text(str.upper), 0, 0),
    "lower": (_on_text(str.lower), 0, 0),
    "title": (_on_text(str.title), 0, 0),
    "trim": (_on_text(str.strip), 0, 0),
    "url": (_on_text(lambda text: quote(text, safe="")), 0, 0),
}

_EXPRESSIONS: dict[type[nodes.Node], Callable[[Any], Run]] = {
    nodes.Name: _name,
    nodes.Const: _const,
    nodes.Not: _not,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Compare: _compare,
    nodes.Filter: _filter,
}
