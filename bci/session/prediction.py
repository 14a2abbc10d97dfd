"""Predicted chance, worked out beside the loop, which goes on with its T meanwhile."""

from concurrent.futures import Future, ThreadPoolExecutor

# the interval needs it: imported later, it would hold frames up
import scipy.special  # noqa: F401

from bci.config.experiment import Experiment
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance, predict_chance
from bci.core.loop import ClosedLoop
from bci.core.stream_types import StreamInfo
from bci.stream.priority import Urgency, hurry


class ChancePrediction:
    """One prediction at a time, in a thread that goes after those that carry frames.

    It takes some 20 ms of Python for a baseline of 13 minutes; a frame that comes meanwhile waits
    for `sys.getswitchinterval`, which control sets to 0.1 ms.

    Parameters
    ----------
    experiment, info
        Of the session and the stream.
    """

    def __init__(self, experiment: Experiment, info: StreamInfo) -> None:
        self._experiment = experiment
        self._info = info
        self._thread: ThreadPoolExecutor | None = None
        self._calibration: CalibrationResult | None = None
        self._chance: Future[Chance] | None = None

    def start(self, calibration: CalibrationResult, loop: ClosedLoop) -> None:
        """Begin with the baseline that the loop holds now."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(
                1, "chance", initializer=hurry, initargs=(Urgency.USUAL,)
            )
        self._calibration = calibration
        self._chance = self._thread.submit(
            predict_chance,
            self._experiment,
            self._info,
            loop.decoder.layout,
            tuple(loop.baseline_s3),
            tuple(loop.baseline_signals),
            calibration.threshold,
        )

    def poll(self, *, wait: bool = False) -> CalibrationResult | None:
        """The calibration with its chance, once; None while there is none.

        Parameters
        ----------
        wait
            Wait for the one that is under way.
        """
        if self._chance is None or self._calibration is None:
            return None
        if not (wait or self._chance.done()):
            return None
        chance, self._chance = self._chance.result(), None
        return self._calibration.with_chance(chance)

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        if self._thread is not None:
            self._thread.shutdown()
