"""The live latency budget: stages from frame to flip and light, as percentiles."""

from enum import StrEnum

import numpy as np

WINDOW = 4096


class Stage(StrEnum):
    """From where to where."""

    SENT_TO_RECEIVED = "sent_to_received"
    RECEIVED_TO_SENT = "received_to_sent"
    SENT_TO_ARRIVED = "sent_to_arrived"
    SENT_TO_FLIP = "sent_to_flip"
    SENT_TO_LIGHT = "sent_to_light"


class LatencyBudget:
    """The last values of every stage; adding one allocates nothing but a float.

    Attributes
    ----------
    counts
        Values added to each stage since the start.
    """

    def __init__(self) -> None:
        self._values = {stage: np.zeros(WINDOW) for stage in Stage}
        self.counts = dict.fromkeys(Stage, 0)

    def add(self, stage: Stage, nanoseconds: int) -> None:
        """Add one value."""
        count = self.counts[stage]
        self._values[stage][count % WINDOW] = nanoseconds * 1e-6
        self.counts[stage] = count + 1

    def percentiles_ms(self) -> dict[str, tuple[float, float]]:
        """p50 and p99 of every stage that has values, over the last 4096, ms."""
        result = {}
        for stage, count in self.counts.items():
            if count:
                p50, p99 = np.percentile(self._values[stage][: min(count, WINDOW)], [50, 99])
                result[stage.value] = (float(p50), float(p99))
        return result
