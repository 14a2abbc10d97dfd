"""The angle that s3 stands for."""

from math import floor, isnan, nan

TARGET_DEG = 90.0
STEP_DEG = 15.0
N_STEPS = 6


def angle_of(s3: float, t: float, lo: float, *, continuous: bool) -> float:
    """Orientation of the grating for a read-out.

    Parameters
    ----------
    s3
        Read-out, dF/F.
    t, lo
        Threshold and lower end, dF/F: 90° at t, 0° at lo.
    continuous
        False: 7 angles in steps of 15°.

    Returns
    -------
    float
        0–90 degrees; NaN where anything is unknown.

    References
    ----------
    Francioni et al. 2026: position read-out, 7 angles in 15° steps.
    """
    x = (s3 - lo) / (t - lo)
    if isnan(x):
        return nan
    # half the time of min and max
    if x < 0.0:
        x = 0.0
    elif x > 1.0:
        x = 1.0
    return TARGET_DEG * x if continuous else STEP_DEG * floor(N_STEPS * x)
