"""The experiment: decoder, baseline, calibration, task, stimulus, faults of the stream."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from bci.config.day import BlockName
from bci.config.ensembles import EnsembleChoice
from bci.config.feedback import Feedback
from bci.config.light import Light
from bci.config.model import Count, Settings, Whole
from bci.config.session_type import ClosedLoopType, SessionType

NonNegativeFloat = Annotated[float, Field(ge=0)]


class Axis(Settings):
    """A direction in the activity of ROIs; `bci calibrate` fits it on the baseline of day 1.

    s = sum of weight * (signal - mean) / scale, over the ROIs.
    """

    labels: tuple[str, ...] = Field(min_length=2)
    """The ROIs, those of `p_plus` in any order."""
    weights: tuple[float, ...]
    """One a ROI."""
    means: tuple[float, ...]
    """Mean of the smoothed signal of each ROI over that baseline, in the unit of the signal."""
    scales: tuple[PositiveFloat, ...]
    """Its standard deviation, same unit."""


class Decoder(Settings):
    """From fluorescence to s3, the read-out that turns the grating."""

    p_plus: tuple[str, ...]
    """Labels of the ROIs whose activity turns the grating towards the target.

    Empty: the ensembles of the subject's folder, or, on day 1, those chosen after the baseline.
    """
    p_minus: tuple[str, ...] = ()
    """Labels of the ROIs whose activity turns it away; only where read_out is two_populations."""
    weights_plus: tuple[float, ...] | None = None
    """Weight of each ROI of p_plus in s, in their order; none: 1/n each."""
    weights_minus: tuple[float, ...] | None = None
    """Weight of each ROI of p_minus, which is subtracted; none: 1/n each."""
    decode_plane: Whole = 0
    signal: Literal["dff", "raw", "spikes"] = "dff"
    """dF/F; counts above dark; or spikes per second of a voltage indicator."""
    f0_mode: Literal["percentile", "exponential", "kernel_mode"] = "percentile"
    """F0 of dF/F: percentile of the window, exponential mean, or mode of the window's density."""
    f0_window_s: PositiveFloat = 30.0
    """Window of F0, time constant of the exponential mean, window of the SD of spikes."""
    f0_percentile: float = Field(default=10.0, ge=0, le=100)
    spike_highpass_hz: PositiveFloat = 10.0
    """Corner of the causal high-pass before spikes are looked for."""
    spike_sd: PositiveFloat = 4.0
    """A spike crosses this many standard deviations of the high-passed fluorescence."""
    read_out: Literal["two_populations", "one_population", "population_dynamics"] = (
        "two_populations"
    )
    """s: mean of P+ minus mean of P-, mean of P+ alone, or P+ projected on `axis`."""
    axis: Axis | None = None
    """Where read_out is population_dynamics: the axis fitted on day 1, which every day uses."""
    smoothing_frames: Count = 3
    """s3 is the mean of the last this many values of s."""
    dff_floor_counts: PositiveFloat = 1.0
    """Smallest F0 that dF/F divides by; an ROI below it is flagged."""
    control: Literal["position", "velocity"] = "position"
    """The angle follows s3, or turns at a speed that follows it, from 0 at the start of RUN."""
    velocity_deg_per_s: PositiveFloat = 45.0
    """Speed at s3 >= T where control is velocity."""
    angle_map: Literal["steps", "continuous"] = "steps"
    """steps: 7 angles, 0 to 90 degrees by 15."""


class Threshold(Settings):
    """T and lo given by hand instead of by a baseline."""

    t: float
    """Hit at s3 >= t, in the unit of the signal; full speed where control is velocity."""
    lo: float
    """s3 that shows 0 degrees, same unit; no speed where control is velocity."""


class Baseline(Settings):
    """The block before the task that T and lo come from."""

    duration_s: PositiveFloat = 780.0
    stimulus: Literal["grey", "gratings"] = "grey"
    """What the animal sees: grey, or 7 gratings, 0 to 90 degrees by 15, drawn with replacement."""
    grating_s: PositiveFloat = 1.0
    """Mean time of one grating."""
    grating_jitter_s: NonNegativeFloat = 0.5
    """Each lasts up to this much more or less, all alike likely."""
    temporal_freq_hz: NonNegativeFloat = 0.0
    """Drift of these gratings; 0: static."""
    seed: Whole = 1
    """Of the order and the times of the gratings."""


class Calibration(Settings):
    """How T follows from the baseline."""

    rule: Literal["success_fraction", "seconds_per_hit"] = "success_fraction"
    """T by the fraction of pseudo-trials that reach it, or by how often the baseline hits it."""
    seconds_per_hit: PositiveFloat = 65.0
    """The baseline shall hit T once in this time; hits are told apart by the re-arm of guards."""
    target_fraction: float = Field(default=0.5, gt=0, lt=1)
    """Fraction of pseudo-trials that shall succeed."""
    n_pseudo_trials: Count = 200
    step_dff: PositiveFloat = 0.005
    """T is lo and a number of these steps, in the unit of the signal."""
    seed: Whole = 1
    carry_over: Literal["z", "fresh", "easier"] = "z"
    """T of later days: as many sigma above mu as on day 1, found anew, or the lower of the two."""
    z_first: float | None = None
    """(T - mu) / sigma of day 1, which `carry_over` carries on; none: this is day 1."""
    chance_block_s: float = Field(default=60.0, ge=60)
    """Predicted chance: length of the blocks that its interval is resampled from, and of twice it;
    what changes within this time is in the interval."""


class Adaptive(Settings):
    """T raised while the animal hits often; every change is part of a recorded decision.

    Chance is predicted at every T it may be raised to, and told as the mean over the trials so far.
    """

    hit_rate: float = Field(default=0.75, gt=0, le=1)
    """T is raised once the hits among the last `n_trials` reach this fraction."""
    n_trials: Count = 20
    """Hits and misses since T was last set or raised; aborted trials do not count."""
    step: PositiveFloat = 0.02
    """How much T is raised by, in the unit of the signal."""
    max_steps: Count = 5
    """T is raised this many times at most."""
    max_t: float | None = None
    """T is never raised beyond this, in the unit of the signal; none: by `max_steps` alone."""


class Guards(Settings):
    """What a hit needs besides the cursor at its target; all off by default."""

    p_minus_below_mean: bool = False
    """Mean signal of P- at most its mean over the baseline."""
    p_plus_others_sd: float | None = None
    """Mean of P+ without its most active cell at least this many SD above its baseline mean."""
    max_cell_share: float | None = Field(default=None, gt=0, le=1)
    """No cell contributes more than this part of the positive signal of P+."""
    rearm_fraction: float | None = Field(default=None, lt=1)
    """After a hit, s3 must come back to this part of T before the next; none: no such rule."""
    rearm_frames: Count = 2
    """For this many decoded frames in a row."""


class Task(Settings):
    """The trial, in seconds of frame time."""

    grey_s: NonNegativeFloat = 0.5
    trial_s: PositiveFloat = 28.0
    """Longest closed loop of one trial."""
    hit_s: NonNegativeFloat = 2.0
    """The grating stays frozen at the target."""
    reward_delay_s: NonNegativeFloat = 1.0
    """From the hit to the reward."""
    black_s: NonNegativeFloat = 1.0
    miss_s: NonNegativeFloat = 3.0
    reward_ul: PositiveFloat = 4.0
    daily_cap_ul: float | None = Field(default=2000.0, gt=0, le=20_000)
    """Most that the subject gets on one calendar day, over all its sessions and with the operator's
    drops; the session ends after the trial with whose reward no other fits below it. None, as in
    recordings of version 0.1.0: no cap."""
    operator_daily_cap_ul: float | None = Field(default=1000.0, gt=0, le=20_000)
    """Most of it that the operator gives on one calendar day; a further drop is refused, and the
    session goes on. None: no cap but `daily_cap_ul`."""
    session_s: PositiveFloat = 2476.0
    """No trial starts later than this after the first one could."""
    pause_counts: bool = False
    """The time of pauses uses up session_s. A pause aborts the running trial in any case: it is
    neither a hit nor a miss."""
    early_hit_frames: Whole = 3
    """Hits within this many decoded frames of RUN are counted apart."""
    abort_at_zero_s: PositiveFloat | None = None
    """RUN is aborted once the angle has been 0 degrees for this long; none: never."""


class Stimulus(Settings):
    """The grating."""

    spatial_freq: PositiveFloat = 5.0
    spatial_freq_unit: Literal["cycles_per_screen", "cycles_per_deg"] = "cycles_per_screen"
    """cycles_per_screen counts over the screen's width."""
    temporal_freq_hz: NonNegativeFloat = 0.0
    """Drift in closed loop."""
    contrast: float = Field(default=1.0, ge=0, le=1)
    mask: Literal["gabor", "circle", "full"] = "gabor"
    gabor_sigma_width: PositiveFloat = 0.125
    """Standard deviation of the Gabor over the screen's width."""
    circle_diameter_deg: PositiveFloat = 40.0
    position_deg: tuple[float, float] = (0.0, 0.0)
    """Centre, degrees right of and above the centre of the screen."""


class StreamFaults(Settings):
    """When a frame is not what it should be."""

    max_gap_s: PositiveFloat = 5.0
    """A longer gap refills the F0 window; an id further ahead is not stepped at once."""
    dark_fraction: float = Field(default=0.3, gt=0, lt=1)
    """Dark below this fraction of the baseline's median fluorescence."""
    saturated_fraction: float = Field(default=0.95, gt=0, le=1)
    """Saturated above this fraction of the digitiser's range."""
    pause_after_s: PositiveFloat = 1.0
    """Dark, saturated or unchanged for longer than this pauses the task."""
    stall_s: PositiveFloat = 1.0
    """Without a frame for longer than this the task is paused."""
    resume_after_stall: bool = True
    """Go on by itself when frames are back and the F0 window has refilled."""


class Experiment(Settings):
    """What is done to the animal, the same on every rig."""

    name: str = Field(min_length=1)
    decoder: Decoder
    session_type: SessionType = ClosedLoopType(kind="closed_loop")
    feedback: Feedback = Feedback()
    light: Light = Light()
    baseline: Baseline | None = None
    """None: no baseline block; `threshold` is then needed."""
    blocks: tuple[BlockName, ...] = ()
    """The blocks of a session in order; empty: baseline where there is one, then closed_loop."""
    hold: bool = False
    """Each block begins when the operator says so, and the session ends when they say so."""
    threshold: Threshold | None = None
    ensembles: EnsembleChoice = EnsembleChoice()
    calibration: Calibration = Calibration()
    guards: Guards = Guards()
    adaptive: Adaptive | None = None
    """None: T stays as it was set."""
    task: Task = Task()
    stimulus: Stimulus = Stimulus()
    faults: StreamFaults = StreamFaults()
