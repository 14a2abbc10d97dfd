"""The parts that `experiment.decoder` may name; a new one is a file and a line here."""

from collections.abc import Callable

from bci.config.experiment import Axis, Decoder
from bci.core.decoding.dff import DeltaF
from bci.core.decoding.exponential import ExponentialMean
from bci.core.decoding.kernel_mode import KernelMode
from bci.core.decoding.one_population import OnePopulation
from bci.core.decoding.parts import F0, Cursor, Layout, ReadOut, Signal
from bci.core.decoding.percentile import RollingPercentile
from bci.core.decoding.population_dynamics import PopulationDynamics
from bci.core.decoding.position import Position
from bci.core.decoding.raw import Raw
from bci.core.decoding.spikes import Spikes
from bci.core.decoding.two_populations import TwoPopulations
from bci.core.decoding.velocity import Velocity


def axis_of(settings: Decoder) -> Axis:
    """The axis of population dynamics, which `bci.config.check` has asked for."""
    if settings.axis is None:
        raise ValueError("experiment.decoder.axis is needed where read_out is population_dynamics")
    return settings.axis


F0_MODES: dict[str, Callable[[Decoder, Layout], F0]] = {
    "percentile": lambda settings, layout: RollingPercentile(
        layout.n_rois, layout.window_frames, settings.f0_percentile
    ),
    "exponential": lambda _, layout: ExponentialMean(layout.n_rois, layout.window_frames),
    "kernel_mode": lambda _, layout: KernelMode(layout.n_rois, layout.window_frames),
}
SIGNALS: dict[str, Callable[[Decoder, Layout], Signal]] = {
    "dff": lambda settings, layout: DeltaF(
        F0_MODES[settings.f0_mode](settings, layout), settings.dff_floor_counts
    ),
    "raw": lambda _, __: Raw(),
    "spikes": lambda settings, layout: Spikes(
        layout.n_rois,
        layout.window_frames,
        layout.plane_rate_hz,
        settings.spike_highpass_hz,
        settings.spike_sd,
    ),
}
SIGNAL_UNITS = {"dff": "dF/F", "raw": "counts", "spikes": "Hz"}
READ_OUTS: dict[str, Callable[[Decoder, Layout], ReadOut]] = {
    "two_populations": lambda settings, layout: TwoPopulations(
        layout.n_plus, settings.weights_plus, settings.weights_minus
    ),
    "one_population": lambda settings, _: OnePopulation(settings.weights_plus),
    "population_dynamics": lambda settings, layout: PopulationDynamics(
        axis_of(settings) if layout.labels else None, layout.labels
    ),
}
READ_OUT_WORDS = {
    "two_populations": "mean of P+ minus mean of P-",
    "one_population": "mean of P+",
    "population_dynamics": "projection of the z-scored ROIs on the axis of day 1",
}


def s_unit(settings: Decoder) -> str:
    """What s, T and lo are measured in."""
    dynamics = settings.read_out == "population_dynamics"
    return "SD" if dynamics else SIGNAL_UNITS[settings.signal]


CURSORS: dict[str, Callable[[Decoder, Layout], Cursor]] = {
    "position": lambda settings, _: Position(continuous=settings.angle_map == "continuous"),
    "velocity": lambda settings, layout: Velocity(
        settings.velocity_deg_per_s / layout.plane_rate_hz,
        continuous=settings.angle_map == "continuous",
    ),
}
