"""`passbell`: everything an operator does, over the same functions as the API."""

from app.cli.root import main

__all__ = ["main"]
