"""When members are due: a local time on the programme's clock or their own, and the hours that are quiet."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.campaigns.definition import Definition, InvalidDefinition, QuietHours

GRACE = timedelta(minutes=5)  # between pressing "plan" and the plan being made


def due_at(definition: Definition, zone: str) -> datetime | None:
    """When members on this clock are due; None: at once.

    A time that the clock skips in spring is read as the same distance after the hour before.
    """
    if definition.send_at is None:
        return None
    return datetime.fromisoformat(definition.send_at).replace(tzinfo=ZoneInfo(zone))


def check_not_past(definition: Definition, zones: list[str], *, now: datetime) -> None:
    """Raises InvalidDefinition where the time has come and gone on one of these clocks."""
    for zone in zones:
        at = due_at(definition, zone)
        if at is not None and at < now - GRACE:
            raise InvalidDefinition(
                "/send_at", f"{at:%Y-%m-%d %H:%M} in {zone} has passed: choose a time to come, or none"
            )


def quiet_until(hours: QuietHours | None, zone: str, now: datetime) -> datetime | None:
    """When the quiet hours on this clock end; None when it is not quiet now."""
    if hours is None:
        return None
    local = now.astimezone(ZoneInfo(zone))
    if not _is_within(local.time().replace(tzinfo=None), hours.since, hours.until):
        return None
    end = local.replace(hour=hours.until.hour, minute=hours.until.minute, second=0, microsecond=0)
    return end if end > local else end + timedelta(days=1)


def _is_within(at: time, since: time, until: time) -> bool:
    return since <= at < until if since < until else at >= since or at < until
