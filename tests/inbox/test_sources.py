"""What settings and secrets a source may have."""

import pytest

from app.crm.known import CRMS
from app.inbox import sources
from tests.make import NOON, make_program

KEY = b"k" * 32
RULE = {"event": "contact", "phone": "{phone}"}


async def add(session, **given):
    program = await make_program(session)
    wanted = {"kind": "generic", "slug": "shop", "settings": {"rules": [RULE]}} | given
    return await sources.add(session, KEY, program.id, CRMS[wanted["kind"]], **wanted, now=NOON)


@pytest.mark.parametrize(
    "given",
    [
        {"slug": "Shop"},
        {"slug": ""},
        {"slug": "a/b"},
        {"slug": "x" * 41},
        {"slug": "sms"},
        {"secret": "short"},
        {"secret": "ё" * 20},
        {"settings": {"rules": [RULE | {"reason": "a\0b"}]}},
        {"settings": {"rules": [RULE | {"reason": "\ud800"}]}},
        {"settings": {"rules": [RULE], "proof": 2**70}},
        {"kind": "kommo", "settings": {"api_url": "https://x"}, "secret": "a/b" * 10},
    ],
)
async def test_what_could_not_be_kept_or_called_is_refused(session, given):
    with pytest.raises(sources.BadSource):
        await add(session, **given)


async def test_a_slug_belongs_to_one_source_of_the_whole_installation(session):
    await add(session)

    with pytest.raises(sources.SlugTaken):
        await add(session)


async def test_secrets_are_sealed_and_open_for_their_own_source_only(session):
    source, secret = await add(session)
    other, _ = await add(session, slug="other")

    assert secret.encode() not in source.sealed
    assert sources.read_secrets(KEY, source) == {"current": secret}
    other.sealed = source.sealed
    with pytest.raises(sources.CannotUnseal):
        sources.read_secrets(KEY, other)
