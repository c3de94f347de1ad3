"""What a database error means to the one who asked: try again, or it is our fault."""

from sqlalchemy.exc import DBAPIError

_DEADLOCK = {"40P01", "40001"}  # PostgreSQL: deadlock_detected, serialization_failure
_BUSY = {"55P03", "57014"}  # lock_not_available, query_canceled: our lock and statement timeouts


def was_given_up(error: DBAPIError) -> bool:
    """Whether the database undid the transaction only to let another one go on."""
    return getattr(error.orig, "sqlstate", None) in _DEADLOCK


def was_busy(error: DBAPIError) -> bool:
    """Whether a row or the database was locked by others for longer than we wait."""
    return (
        getattr(error.orig, "sqlstate", None) in _BUSY | _DEADLOCK or str(error.orig) == "database is locked"
    )
