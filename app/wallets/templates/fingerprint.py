"""A digest of everything a pass template shows: two alike look alike."""

import hashlib
from collections.abc import Mapping

import orjson

from app.wallets.templates.model import PassTemplate


def fingerprint(template: PassTemplate) -> str:
    """Hex SHA-256 over definition, texts, pictures and both wallets' own files."""
    shown = [
        template.definition.model_dump(mode="json"),
        template.texts,
        template.apple,
        template.google,
        {path: hashlib.sha256(data).hexdigest() for path, data in template.static_files.items()},
        {path: hashlib.sha256(data).hexdigest() for path, data in template.google_images.items()},
    ]
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()


def fingerprints(templates: Mapping[str, PassTemplate]) -> dict[str, str]:
    """The digest of each template by its name."""
    return {name: fingerprint(template) for name, template in templates.items()}
