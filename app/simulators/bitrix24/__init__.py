"""A simulated Bitrix24 portal: contacts, deals and people who work with them, REST within its limits, and
outgoing calls that may be lost, doubled, delayed and reordered by a seeded plan.

    async with running(Portal(...)) as url: ...       its REST and OAuth on a real loopback socket

What it says and refuses follows https://github.com/bitrix-tools/b24-rest-docs.
"""

from app.simulators.bitrix24.calls import Plan
from app.simulators.bitrix24.limits import Limits
from app.simulators.bitrix24.portal import Contact, Deal, Portal
from app.simulators.bitrix24.rest import running

__all__ = ["Contact", "Deal", "Limits", "Plan", "Portal", "running"]
