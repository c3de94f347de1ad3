"""Which wallets hold a member's cards: phones that registered, Google's word, browsers that keep the page."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, literal, select, union_all

from app.passes.models import GoogleObject, Pass, Registration, WebSubscription

# By wallet as segments call it: a service of the Apple protocol, Google, or a browser.
SERVICES = {"apple": "apns", "walletpasses": "walletpasses", "pass2u": "pass2u"}
GOOGLE, WEB = "google", "web"


def _held(program_id: str) -> Subquery:
    """(member_id, wallet) for every place that holds an active pass."""
    active = (Pass.program_id == program_id, Pass.state == "active")
    by_service = {service: wallet for wallet, service in SERVICES.items()}
    wallet = case(
        *((Registration.push_service == service, name) for service, name in by_service.items()),
        else_=Registration.push_service,
    )
    return union_all(
        select(Pass.member_id, wallet.label("wallet")).join(Registration).where(*active),
        select(Pass.member_id, literal(GOOGLE).label("wallet"))
        .join(GoogleObject)
        .where(*active, GoogleObject.has_users),
        select(Pass.member_id, literal(WEB).label("wallet")).join(WebSubscription).where(*active),
    ).subquery()


def members_with(program_id: str, wallet: str | None) -> Select[*tuple[Any, ...]]:
    """The members of whom a wallet (None: any) holds an active pass, as a query of ids."""
    every = _held(program_id)
    query = select(every.c.member_id)
    return query if wallet is None else query.where(every.c.wallet == wallet)


def held_by_member(program_id: str) -> Subquery:
    """By member, how many places of which kind hold their active passes: `apple`, `google`, `others`."""
    every = _held(program_id)

    def counted(is_it: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((is_it, 1), else_=0))

    known = every.c.wallet.in_(("apple", GOOGLE))
    return (
        select(
            every.c.member_id,
            counted(every.c.wallet == "apple").label("apple"),
            counted(every.c.wallet == GOOGLE).label("google"),
            counted(~known).label("others"),
        )
        .group_by(every.c.member_id)
        .subquery("held")
    )


def label(held: Subquery) -> ColumnElement[str]:
    """apple, google, both, other or none, over the outer-joined counts."""
    return case(
        (and_(held.c.apple > 0, held.c.google > 0), "both"),
        (held.c.apple > 0, "apple"),
        (held.c.google > 0, "google"),
        (held.c.others > 0, "other"),
        else_="none",
    )
