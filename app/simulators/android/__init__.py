"""An Android phone with Google Wallet, signed in to a simulated account."""

from app.simulators.android.phone import AndroidPhone, NoSaveLink

__all__ = ["AndroidPhone", "NoSaveLink"]
