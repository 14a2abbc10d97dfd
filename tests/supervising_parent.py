"""A supervisor of the supervision tests: prints its endpoint and answers until it is killed."""

import time

from bci.stream.hub import SupervisorHub

with SupervisorHub() as hub:
    print(hub.endpoint, flush=True)  # noqa: T201
    while True:
        if hub.wait_report(1.0):
            for report in hub.take_reports():
                print(report.name, report.kind, flush=True)  # noqa: T201
        time.sleep(0)
