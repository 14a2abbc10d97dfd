"""A field of view that needs no microscope: events, indicator, shot noise, bleaching."""

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.config.rig import SimulatedSource
from bci.core.source import EndOfSource, SourceFrame
from bci.core.stream_types import Roi, StreamInfo
from bci.simulation.neurons import IMAGE_SHAPE, Neurons, draw_neurons

EVENT_BLOCK_S = 1.0
CHUNK_VALUES = 16_384
# An event older than this many decay times adds less than float32 can hold.
MEMORY_DECAYS = 20.0


@dataclass(frozen=True)
class Kernel:
    """What one event adds to dF/F: a difference of exponentials with peak 1.

    Parameters
    ----------
    rise_s, decay_s
        Time constants, s.
    """

    rise_s: float
    decay_s: float

    @classmethod
    def of(cls, rise_s: float, decay_s: float) -> "Kernel":
        """With two constants kept 0.1 % apart, where the difference still has a shape."""
        fast, slow = sorted((rise_s, decay_s))
        return cls(min(fast, slow * 0.999), slow)

    @property
    def peak_s(self) -> float:
        """Time from the event to its peak, s."""
        ratio = math.log(self.decay_s / self.rise_s)
        return self.rise_s * self.decay_s / (self.decay_s - self.rise_s) * ratio

    @property
    def scale(self) -> float:
        """Factor that makes the peak 1."""
        return 1 / (math.exp(-self.peak_s / self.decay_s) - math.exp(-self.peak_s / self.rise_s))

    def at(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Height at times after the event, s; 0 before it."""
        after = np.maximum(t_s, 0)
        height: NDArray[np.float64] = np.exp(-after / self.decay_s) - np.exp(-after / self.rise_s)
        return self.scale * height


class SimulatedFieldOfView:
    """Neurons that fire by chance alone, as an indicator and a digitiser show them.

    F = dark + F0 · exp(−t / tau) · (1 + dF/F), with Gaussian noise of the variance that photons
    of that number have. Events are a Poisson process of each ROI; rate, size and F0 differ from
    ROI to ROI. Every number follows from the
    seed and the frame id alone, in whatever order frames are read: random numbers are drawn by
    counter (Philox), and each chunk of frames is made from the events before it, never from the
    chunk before it.

    Parameters
    ----------
    settings
        ROI i lies in plane i % n_planes.
    """

    def __init__(self, settings: SimulatedSource) -> None:
        self.settings = settings
        self._kernel = Kernel.of(settings.rise_s, settings.decay_s)
        self._frame_id = 0
        self._end = (
            None if settings.duration_s is None else round(settings.duration_s * settings.rate_hz)
        )
        planes = range(settings.n_planes)
        self._n_rois = [len(range(plane, settings.n_rois, settings.n_planes)) for plane in planes]
        # Small enough not to make a frame of a fast stream late; a function of the settings alone.
        self._chunk_frames = max(1, min(256, CHUNK_VALUES // max(1, *self._n_rois)))
        self._chunks: dict[int, tuple[int, NDArray[np.float32]]] = {}
        self._blocks: OrderedDict[int, tuple[NDArray[np.int64], NDArray[np.float64]]]
        self._blocks = OrderedDict()
        self._blocks_kept = math.ceil(MEMORY_DECAYS * self._kernel.decay_s / EVENT_BLOCK_S) + 64
        self.neurons = draw_neurons(settings, self._random(0, 0, 2))
        self._info = _describe(settings, self.neurons)

    @property
    def info(self) -> StreamInfo:
        """The stream's description."""
        return self._info

    @property
    def paced(self) -> bool:
        """False: frames are there as soon as asked for."""
        return False

    def seek(self, frame_id: int) -> None:
        """Let the next frame read be this id."""
        self._frame_id = frame_id

    def read(self, timeout_s: float) -> SourceFrame:
        """Next frame; never waits.

        Raises
        ------
        EndOfSource
            After `duration_s`.
        """
        frame_id = self._frame_id
        if self._end is not None and frame_id >= self._end:
            raise EndOfSource
        turn, plane = divmod(frame_id, self.settings.n_planes)
        chunk, row = divmod(turn, self._chunk_frames)
        number, frames = self._chunks.get(plane, (-1, None))
        if number != chunk or frames is None:
            frames = self._make_chunk(chunk, plane)
            self._chunks[plane] = (chunk, frames)
        self._frame_id = frame_id + 1
        return SourceFrame(frame_id, plane, frames[row])

    def close(self) -> None:
        """Nothing to give back."""

    def events(
        self, start_s: float, stop_s: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The truth: which ROIs fired when, in [start_s, stop_s).

        Returns
        -------
        roi_ids, t_s
            Both of shape (n_events,).
        """
        first, last = math.floor(start_s / EVENT_BLOCK_S), math.floor(stop_s / EVENT_BLOCK_S)
        blocks = [self._block(block) for block in range(max(0, first), last + 1)]
        if not blocks:
            return np.zeros(0, np.int64), np.zeros(0)
        rois = np.concatenate([block[0] for block in blocks])
        times = np.concatenate([block[1] for block in blocks])
        inside = (times >= start_s) & (times < stop_s)
        return rois[inside], times[inside]

    def _block(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        known = self._blocks.get(block)
        if known is not None:
            return known
        random = self._random(block, 0, 0)
        mean = self.settings.event_rate_hz * EVENT_BLOCK_S * self.settings.n_rois
        n_events = int(random.poisson(mean))
        rois = self.neurons.share.searchsorted(random.random(n_events), side="right")
        times = (block + random.random(n_events)) * EVENT_BLOCK_S
        self._blocks[block] = rois, times
        while len(self._blocks) > self._blocks_kept:
            self._blocks.popitem(last=False)
        return rois, times

    def _make_chunk(self, chunk: int, plane: int) -> NDArray[np.float32]:
        settings = self.settings
        turns = np.arange(chunk * self._chunk_frames, (chunk + 1) * self._chunk_frames)
        t_s = (turns * settings.n_planes + plane) / settings.rate_hz
        signal = self._dff(t_s, plane)
        signal += 1.0
        signal *= np.exp(-t_s / settings.bleaching_tau_s)[:, np.newaxis]
        signal *= self.neurons.baseline_counts[plane :: settings.n_planes]
        light = signal.astype(np.float32)
        noise = self._random(chunk, plane, 1).standard_normal(light.shape, np.float32)
        noise *= np.sqrt(light / np.float32(settings.photons_per_count))
        light += noise
        light += np.float32(settings.dark_counts)
        return light

    def _dff(self, t_s: NDArray[np.float64], plane: int) -> NDArray[np.float64]:
        n_planes, n_rois = self.settings.n_planes, self._n_rois[plane]
        memory_s = MEMORY_DECAYS * self._kernel.decay_s
        rois, times = self.events(float(t_s[0]) - memory_s, float(t_s[-1]))
        mine = rois % n_planes == plane
        rois, times = rois[mine] // n_planes, times[mine]
        # The first frame at or after an event is the first to show it.
        rows = np.searchsorted(t_s, times)
        age_s = t_s[rows] - times
        dff = np.zeros((len(t_s), n_rois))
        interval_s = n_planes / self.settings.rate_hz
        for tau_s, sign in ((self._kernel.decay_s, 1.0), (self._kernel.rise_s, -1.0)):
            weights = np.exp(-age_s / tau_s)
            part = np.zeros((len(t_s), n_rois))
            np.add.at(part, (rows, rois), weights)
            keep = math.exp(-interval_s / tau_s)
            for row in range(1, len(t_s)):
                part[row] += keep * part[row - 1]
            dff += sign * part
        dff *= self._kernel.scale * self.neurons.event_dff[plane::n_planes]
        return dff

    def _random(self, index: int, plane: int, purpose: int) -> np.random.Generator:
        # The lowest word counts within one stream, the others name the stream.
        return np.random.Generator(
            np.random.Philox(key=self.settings.seed, counter=[0, index, plane, purpose])
        )


def _describe(settings: SimulatedSource, neurons: Neurons) -> StreamInfo:
    """Description of the simulated stream; labels roi0000, roi0001, …."""
    places = zip(neurons.x_px.tolist(), neurons.y_px.tolist(), strict=True)
    return StreamInfo(
        session="",
        epoch=0,
        source="simulated field of view",
        rate_hz=settings.rate_hz,
        n_planes=settings.n_planes,
        image_shape=IMAGE_SHAPE,
        polarity=1,
        dark_counts=settings.dark_counts,
        saturation_counts=None,
        rois=tuple(
            Roi(roi, f"roi{roi:04d}", roi % settings.n_planes, x_px=x_px, y_px=y_px)
            for roi, (x_px, y_px) in enumerate(places)
        ),
    )
