"""What a database error means to the one who asked: try again, or it is our fault."""

from socket import gaierror

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

_DEADLOCK = {"40P01", "40001"}  # PostgreSQL: deadlock_detected, serialization_failure
_BUSY = {"55P03", "57014"}  # lock_not_available, query_canceled: our lock and statement timeouts

# Raised as they are while a connection is opened; no request calls anything else over the network.
CANNOT_CONNECT = (ConnectionError, gaierror, asyncpg.PostgresError, NoFreeConnection)


def was_given_up(error: DBAPIError) -> bool:
    """Whether the database undid the transaction only to let another one go on."""
    return getattr(error.orig, "sqlstate", None) in _DEADLOCK


def was_busy(error: DBAPIError) -> bool:
    """Whether a row or the database was locked by others for longer than we wait."""
    return (
        getattr(error.orig, "sqlstate", None) in _BUSY | _DEADLOCK or str(error.orig) == "database is locked"
    )


def was_away(error: Exception) -> bool:
    """Whether the database cannot be reached, or left in the middle: whether it committed is not known."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    return isinstance(error, CANNOT_CONNECT)
