"""The rig: where frames come from, the screen, the board, the transport."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from bci.config.metadata import Imaging
from bci.config.model import Count, Settings, Whole

NonNegativeFloat = Annotated[float, Field(ge=0)]
Planes = Annotated[int, Field(gt=0, le=4096)]


class SimulatedSource(Settings):
    """A simulated field of view: events, indicator kinetics, shot noise, bleaching; no learning."""

    kind: Literal["simulated"]
    n_rois: Count = 40
    """ROIs over all planes, dealt to the planes in turn."""
    rate_hz: PositiveFloat = 30.0
    """Rate of frame_id over all planes."""
    n_planes: Planes = 1
    duration_s: PositiveFloat | None = None
    """Where the source ends; none: never."""
    seed: Whole = 1
    event_rate_hz: PositiveFloat = 0.25
    """Mean rate of events of a neuron."""
    event_dff: PositiveFloat = 0.6
    """Peak dF/F of one event, mean of the neurons."""
    diversity: NonNegativeFloat = 0.3
    """SD of the logarithm of event rate, event size and resting fluorescence; 0: all alike."""
    rise_s: PositiveFloat = 0.05
    decay_s: PositiveFloat = 0.4
    baseline_counts: PositiveFloat = 500.0
    """Resting fluorescence above the dark level."""
    dark_counts: NonNegativeFloat = 100.0
    """Counts of the digitiser in the dark, added to every ROI."""
    photons_per_count: PositiveFloat = 4.0
    """Shot noise: variance of F in counts is F / photons_per_count."""
    bleaching_tau_s: PositiveFloat = 6000.0
    """Resting fluorescence falls as exp(-t / tau)."""


class RecordingSource(Settings):
    """Recorded traces as the live source."""

    kind: Literal["recording"]
    path: Path
    """.npy or .npz traces, a suite2p folder, an NWB file, or a session folder of this program."""
    rate_hz: PositiveFloat | None = None
    """Rate of frame_id over all planes; needed where the file does not tell it (.npy, .npz)."""
    n_planes: Planes = 1
    """Planes that the rows of .npy traces are dealt to in turn; read from the file elsewhere."""
    series: tuple[str, ...] = ()
    """RoiResponseSeries of an NWB file, one a plane; empty: its raw fluorescence, all planes."""
    background_counts: NonNegativeFloat = 0.0
    """Constant added to every value: denoised traces have none of their own."""
    loop: bool = False
    """Begin again at the end of the recording, frame ids going on."""


class DoorSource(Settings):
    """Frames sent to us by a microscope program, in the project's wire format."""

    kind: Literal["tcp", "zmq"]
    n_rois: Count
    """ROIs over all planes."""
    rate_hz: PositiveFloat
    n_planes: Planes = 1
    host: str = "127.0.0.1"
    """Address to listen on."""
    exposed: bool = False
    """Allow a host that other computers can reach. Only those of rig.insecure_peers may connect."""
    port: int = Field(default=0, ge=0, le=65535)
    """0: any free port, written to endpoints.json."""
    labels: tuple[str, ...] = ()
    """ROI labels in table order; empty: roi0000, roi0001, ..."""
    dark_counts: NonNegativeFloat = 0.0
    saturation_counts: PositiveFloat | None = None
    on_wrong_rate: Literal["stop", "warn"] = "stop"
    """If frames come at a rate more than 2 % away from rate_hz: end the session, or only say so."""


Source = Annotated[SimulatedSource | RecordingSource | DoorSource, Field(discriminator="kind")]


class Stream(Settings):
    """The ZeroMQ transport between the processes."""

    host: str = "127.0.0.1"
    """Address that frames, handshake, screen commands and flips bind to."""
    operator_host: str = "127.0.0.1"
    """Address that operator requests, telemetry and history bind to."""
    exposed: bool = False
    """Allow hosts that other computers can reach; needs keys."""
    keys: Path | None = None
    """Key file that `bci keygen` made, the same on each computer; needed beyond loopback only."""
    frames_port: int = Field(default=0, ge=0, le=65535)
    channel_port: int = Field(default=0, ge=0, le=65535)
    commands_port: int = Field(default=0, ge=0, le=65535)
    flips_port: int = Field(default=0, ge=0, le=65535)
    operator_port: int = Field(default=0, ge=0, le=65535)
    telemetry_port: int = Field(default=0, ge=0, le=65535)
    queue_frames: Count = 1000
    """Frames that wait for control before the publisher drops (live)."""
    credit_frames: Count = 64
    """Frames that control grants at a time (lossless)."""
    delivery: Literal["live", "lossless"] = "live"
    speed: PositiveFloat = 1.0
    """Multiple of real time at which a recording or simulation is sent (live)."""
    command_resend_ms: PositiveFloat = 100.0
    late_frames: Count = 2
    """With more newer frames than this waiting, control is behind: screen commands wait."""


class PhotodiodePatch(Settings):
    """A square in a corner that changes only at a flip that shows a new command."""

    enabled: bool = False
    size_px: Count = 60
    corner: Literal["top_left", "top_right", "bottom_left", "bottom_right"] = "bottom_left"


class Screen(Settings):
    """The animal's screen."""

    backend: Literal["psychopy", "null"] = "psychopy"
    display: str | None = None
    """X display such as ':0'; none: DISPLAY, and without one an Xvfb of our own."""
    screen_index: int = Field(default=0, ge=0, le=1000)
    fullscreen: bool = False
    width_px: Count = 800
    height_px: Count = 600
    width_cm: PositiveFloat = 52.0
    distance_cm: PositiveFloat = 20.0
    """From the eye to the centre of the screen."""
    refresh_hz: PositiveFloat = 60.0
    """Nominal refresh; paces the timer where the screen does not blank."""
    pre_blank_ms: NonNegativeFloat = 5.0
    """How long before the blank the newest command is taken and drawn."""
    gamma: PositiveFloat | None = None
    """Gamma of the screen to be linearised; none: left alone."""
    background: float = Field(default=0.0, ge=-1, le=1)
    """Luminance behind the grating, -1 black, 0 mid grey, 1 white."""
    photodiode: PhotodiodePatch = PhotodiodePatch()


class Sound(Settings):
    """The device that the auditory cursor is heard from."""

    backend: Literal["device", "null"] = "device"
    """null: silence is meant, for tests; device: without one no session with a tone begins."""
    device: str | None = None
    """Part of its name; none: the computer's own choice."""
    sample_rate_hz: PositiveFloat = 48000.0
    volume: float = Field(default=0.2, ge=0, le=1)
    """Amplitude, 1: as loud as the device goes."""
    latency_ms: PositiveFloat | None = None
    """From sample to sound, as asked of the driver; none: as low as it offers."""


class Valve(Settings):
    """Opening time of the reward valve: `dead_ms` + `ms_per_ul` × volume."""

    ms_per_ul: PositiveFloat = 10.0
    """How much longer 1 µl more takes."""
    dead_ms: float = Field(default=0.0, ge=-1000, le=1000)
    """Part of an opening that gives nothing; below 0 where the valve shuts later than told."""
    calibrated_on: date | None = None
    """Date of the weighing that gave ms_per_ul and dead_ms; none: never calibrated."""
    max_open_ms: PositiveFloat = 500.0
    """The board shuts the valve after this, whatever was asked."""
    max_duty: float = Field(default=0.5, gt=0, le=1)
    """Largest open fraction in any 10 s, held by the board."""

    def open_ms(self, volume_ul: float) -> float:
        """Opening time for a volume."""
        return self.dead_ms + self.ms_per_ul * volume_ul

    def volume_ul(self, open_ms: float) -> float:
        """The volume of an opening; below 0 for one that ends within the dead time."""
        return (open_ms - self.dead_ms) / self.ms_per_ul

    @property
    def line(self) -> str:
        """The calibration, for people."""
        slope = f"{self.ms_per_ul:g} ms for 1 µl"
        return f"{self.dead_ms:g} ms and {slope}" if self.dead_ms else slope


class Faults(Settings):
    """What a simulated board is told to do wrong."""

    lose_byte_every: int = Field(default=0, ge=0, le=1_000_000_000)
    """Every n-th byte sent by the board is lost; 0: none."""
    corrupt_byte_every: int = Field(default=0, ge=0, le=1_000_000_000)
    """Every n-th byte sent by the board is flipped; 0: none."""
    no_ack: bool = False
    """Requests are carried out and never acknowledged."""
    duplicate_frame_every: int = Field(default=0, ge=0, le=1_000_000_000)
    """Every n-th frame sent by the board is sent twice; 0: none."""
    both_ways: bool = False
    """Bytes sent to the board are lost and flipped as well."""
    unplug_in_reward: int = Field(default=0, ge=0, le=1_000_000_000)
    """The line closes once, as the valve opens for the n-th reward; 0: never."""
    reset_in_reward: int = Field(default=0, ge=0, le=1_000_000_000)
    """The board restarts once, as the valve opens for the n-th reward; 0: never."""
    clock_drift_ppm: float = Field(default=0.0, ge=-1000, le=1000)
    """The board's clock runs this much too fast."""


OF_OTHERS = ("harp", "bpod", "arduino")
"""Kinds of board that do not run this program's own firmware; they need `rig.board.port`."""
ON_A_PORT = ("serial", *OF_OTHERS)
"""Kinds of board that are at a port, not a process of ours."""


Micros = Annotated[int, Field(ge=0, le=10_000_000)]
Gated = Annotated[int, Field(ge=0, le=30_000)]
Measured = Annotated[int, Field(ge=0, le=1023)]


class BoardValues(Settings):
    """What this program's own firmware is told after each greeting; none: what the board keeps."""

    lick_debounce_us: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Edges of the lick sensor closer than this are one; 2000 from the start."""
    lick_threshold: Measured | None = None
    """ADC value (1023: 5 V) at A1 from which on it is a lick; 0, from the start: digital at D10."""
    wheel_interval_us: Micros | None = None
    """At most one event of the wheel in this time; 10000 from the start."""
    frame_period_us: Micros | None = None
    """Period of the frame TTL that gate and light obey; none: from rig.source.rate_hz."""
    gate_us: Gated | None = None
    """PMT gate after a frame TTL; none: experiment.light.gate_ms."""
    light_start_us: Gated | None = None
    """Light after a frame TTL; 500 from the start."""
    light_us: Gated | None = None
    """Length of the light, within the gate; 6000 from the start."""
    photodiode_black: Measured | None = None
    """ADC value of the black patch; better learnt: bci doctor --board --learn black."""
    photodiode_white: Measured | None = None
    """ADC value of the white patch."""
    sync_period_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None
    """Mean period of the pseudo-random sync line; 0, from the start: off."""


class HarpBoard(Settings):
    """A Harp Behavior board as the board."""

    output: Literal[
        "do_port0",
        "do_port1",
        "do_port2",
        "supply_port0",
        "supply_port1",
        "supply_port2",
        "do0",
        "do1",
        "do2",
        "do3",
    ] = "supply_port0"
    """Output that the valve is at; supply_port0 to 2 are the 12 V lines of the poke ports."""
    lick_input: int | None = Field(default=None, ge=0, le=3)
    """Digital input that the lick sensor is at, 0 to 3; none: no licks."""
    wheel: bool = False
    """A quadrature encoder is at port 2."""


class BpodBoard(Settings):
    """A Bpod state machine as the board."""

    valve: int = Field(default=1, ge=1, le=8)
    """Valve of the state machine, counted from 1."""


class ArduinoBoard(Settings):
    """A plain Arduino whose sketch obeys single characters, as the board."""

    reward: str = Field(default="b", pattern="^[!-~]$")
    """Character that opens the valve."""
    start: str | None = Field(default=None, pattern="^[!-~]$")
    """Character that the sketch waits for before it does anything; none: it waits for nothing."""
    open_ms: PositiveFloat = 40.0
    """How long the sketch opens it: no host can change that."""
    tells_licks: bool = True
    """The sketch sends a byte again and again that goes up with each lick; false: it is silent."""


class Board(Settings):
    """The microcontroller with valve, light, sensors and frame clock."""

    kind: Literal["serial", "chip", "simulated", "harp", "bpod", "arduino"]
    """serial: this program's own firmware on `port`; chip: that firmware in simavr; simulated:
    Python; harp, bpod, arduino: what a lab has, on `port`, less safe: docs/other-boards.md."""
    port: str | None = None
    """Device such as /dev/ttyACM0, COM3 or socket://host:port; not for chip and simulated. For
    kind = serial also `auto`, or none: each serial port on USB is greeted, and the one that answers
    as a board is it."""
    name: str | None = None
    """Name in the board's EEPROM, kind = serial; a board of another name is not used. None: any."""
    baud: int = Field(default=115200, gt=0, le=100_000_000)
    """Of this program's own firmware; other boards have their own."""
    keep_alive_ms: PositiveFloat = 100.0
    watchdog_ms: PositiveFloat = 300.0
    """Host silence after which the board shuts everything."""
    ack_timeout_ms: PositiveFloat = 200.0
    retries: int = Field(default=3, ge=0, le=1000)
    frame_ttl: Literal["none", "start", "end"] = "none"
    """The microscope's frame TTL is wired to the board, and comes at the start or at the end of a
    frame: TTL n belongs to frame n, frames lie at its time on file, and what does not fit is told.
    A simulated source pulls the line of a simulated board or a chip."""
    scope_trigger: bool = False
    """The board's start trigger starts the microscope, once the session waits for frames."""
    reconnect_s: PositiveFloat = 0.5
    clock_every_s: PositiveFloat = 1.0
    """The board is asked for its time this often, to tie its clock to the computer's."""
    pay_within_s: PositiveFloat = 5.0
    """A reward that could not begin within this of being earned fails."""
    valve: Valve = Valve()
    values: BoardValues = BoardValues()
    harp: HarpBoard = HarpBoard()
    bpod: BpodBoard = BpodBoard()
    arduino: ArduinoBoard = ArduinoBoard()
    faults: Faults = Faults()


class Rig(Settings):
    """One set-up in the lab."""

    name: str = Field(min_length=1)
    insecure_peers: tuple[str, ...] = ()
    """Addresses of computers that may send frames, or serve a socket:// board, without keys. What
    goes to and from them is neither encrypted nor checked; they can send no command."""
    files_at_end: bool = True
    """Write session.nwb and report.html when a session ends. False: only the journal is written,
    which holds everything; `bci export` and `bci report` make the others when there is time."""
    source: Source
    board: Board
    screen: Screen = Screen()
    sound: Sound = Sound()
    stream: Stream = Stream()
    imaging: Imaging = Imaging()
