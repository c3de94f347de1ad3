"""Google Wallet, simulated: REST API, token endpoint, save links, and callbacks with keys of its own.

As strict as Google is known to be. Where that is not known for certain, the code says so.
"""

from app.simulators.google_wallet.answers import ISSUER_ID
from app.simulators.google_wallet.faults import Faults
from app.simulators.google_wallet.notifying import Notification
from app.simulators.google_wallet.simulator import Account, Card, GoogleWalletSimulator, running

__all__ = ["ISSUER_ID", "Account", "Card", "Faults", "GoogleWalletSimulator", "Notification", "running"]
