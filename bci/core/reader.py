"""From a frame of the decoded plane to s3: which values, in which unit, through which decoder."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bci.config.experiment import Experiment
from bci.core.baseline_record import BaselineRecord
from bci.core.baseline_tape import Kept
from bci.core.decoding.decoder import EnsembleDecoder
from bci.core.hit_rule import HitRule
from bci.core.session_types import decoder_settings
from bci.core.stream_types import StreamInfo


class EnsembleReader:
    """Decoder and hit rule of one choice of ensembles.

    Parameters
    ----------
    experiment, info
        Of the session and the stream.

    Attributes
    ----------
    decoder, hit_rule
        Made for these ensembles.
    """

    def __init__(self, experiment: Experiment, info: StreamInfo) -> None:
        self.decoder = EnsembleDecoder(decoder_settings(experiment), info)
        self.hit_rule = HitRule(experiment, self.decoder.layout)
        self._places = np.array(self.decoder.roi_indices, dtype=np.intp)
        self._below_floor: frozenset[int] = frozenset()
        self._polarity = info.polarity
        self._dark = info.dark_counts

    def read(self, fluorescence: NDArray[np.float32]) -> float:
        """s3 of one frame; NaN without ensembles."""
        polarity, dark = self._polarity, self._dark
        # take with an array to write to costs three times as much
        counts = fluorescence[self._places].tolist()
        if polarity == 1:
            return self.decoder.update([f - dark for f in counts])
        return self.decoder.update([polarity * (f - dark) for f in counts])

    def take_fallen(self) -> tuple[str, ...]:
        """ROIs whose F0 has become too small to divide by since the last call."""
        before, now = self._below_floor, self.decoder.below_floor
        if now is before:
            return ()
        self._below_floor = now
        return tuple(self.decoder.labels[place] for place in sorted(now - before))

    def read_again(self, frames: Iterator[Kept | None], baseline: BaselineRecord) -> None:
        """Decode frames that were kept, as if these ensembles had been there from the start.

        Parameters
        ----------
        frames
            From `BaselineTape.play`.
        baseline
            Takes those that belong to it.
        """
        needs_signal = self.hit_rule.guards.needs_signal
        for kept in frames:
            if kept is None:
                self.decoder.reset()
            elif np.isfinite(kept.fluorescence[self._places]).all():
                s3 = self.read(kept.fluorescence)
                if kept.counted:
                    baseline.add(s3, self.decoder.smoothed if needs_signal else (), kept.median)
