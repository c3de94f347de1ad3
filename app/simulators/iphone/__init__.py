"""A simulated iPhone: a real client of the PassKit web service, for the demo, tests and benchmarks."""

from app.simulators.iphone.opening import OpenedPass, RefusedPass, open_pass
from app.simulators.iphone.phone import InstalledPass, IPhone
from app.simulators.iphone.showing import Notification

__all__ = ["IPhone", "InstalledPass", "Notification", "OpenedPass", "RefusedPass", "open_pass"]
