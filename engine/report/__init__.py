"""Tell what a pass found: one status patch and events; silent when nothing changed.

`assess` is the pure part (conditions, status, what differs), `publish` the only part that writes.
"""

from engine.report.assess import Assessment, assess
from engine.report.publish import Reporter

__all__ = ["Assessment", "Reporter", "assess"]
