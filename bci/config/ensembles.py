"""How neurons are chosen from a baseline: what a candidate must be like."""

from pydantic import Field, NonNegativeInt, PositiveFloat

from bci.config.model import Settings


class EnsembleChoice(Settings):
    """Which ROIs may become P+ and P-, and how many; `bci calibrate` asks for them."""

    n_per_side: int = Field(default=4, ge=2, le=6)
    """ROIs in each of P+ and P-."""
    event_sd: PositiveFloat = 4.0
    """An event rises this many SD of the noise above the median of the smoothed signal."""
    min_event: float = Field(default=0.05, ge=0)
    """And at least this much, in the unit of the signal: denoised traces have no noise to tell."""
    min_event_rate_hz: float = Field(default=0.02, ge=0)
    """A candidate has at least this many events a second."""
    min_snr: float = Field(default=5.0, ge=0)
    """A candidate's median event is at least this many SD of the noise high."""
    max_drift: PositiveFloat = 0.25
    """A candidate's F0 changes by at most this part of its mean over the baseline."""
    indicator_decay_s: PositiveFloat = 0.4
    """Decay constant of the indicator, which transients are compared with."""
    max_decay_ratio: float = Field(default=3.0, gt=1)
    """A candidate's transients decay at most this many times slower or faster."""
    max_correlation: float = Field(default=0.6, gt=0, le=1)
    """No two chosen ROIs correlate more than this: they may show one neuron."""
    tuning_confidence: float = Field(default=0.95, gt=0, lt=1)
    """Tuned: the interval of this confidence of the response to 90 minus 0 degrees leaves out 0."""
    seed: NonNegativeInt = 1
    """Of the split into P+ and P-."""
