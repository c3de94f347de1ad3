"""`passbell`: everything an operator does, over the same functions as the API."""

import gc

# What is loaded here stays for good, and the collector would look through all of it again and again: a
# seventh of the time to start.
gc.disable()

from app.cli.root import main  # noqa: E402  after the line that makes it quick

gc.enable()

__all__ = ["main"]
