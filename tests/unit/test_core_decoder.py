"""dF/F, the difference of the ensembles, its trailing mean."""

from math import isnan

import numpy as np
import pytest
from core_session import info_of, session_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.core.decoding.decoder import EnsembleDecoder, UnknownRoi


def decoder_of(**decoder: object) -> EnsembleDecoder:
    session = session_of(p_plus="ab", p_minus="cd", decoder=dict(decoder))
    return EnsembleDecoder(session.experiment.decoder, info_of())


def test_read_out_is_mean_of_p_plus_minus_mean_of_p_minus() -> None:
    decoder = decoder_of(f0_percentile=0.0)
    decoder.update([100.0, 200.0, 400.0, 50.0])
    decoder.update([150.0, 400.0, 400.0, 60.0])
    assert decoder.signal == [0.5, 1.0, 0.0, 0.2]
    assert decoder.s == pytest.approx(0.75 - 0.1)


def test_smoothed_read_out_is_the_mean_of_the_last_three() -> None:
    decoder = decoder_of(f0_percentile=0.0)
    s, s3 = [], []
    for value in (100.0, 110.0, 140.0, 120.0, 100.0):
        s3.append(decoder.update([value, 100.0, 100.0, 100.0]))
        s.append(decoder.s)
    assert s3 == pytest.approx([np.mean(s[max(0, k - 2) : k + 1]) for k in range(5)])


def test_roi_below_the_floor_is_divided_by_the_floor_and_flagged() -> None:
    decoder = decoder_of(dff_floor_counts=10.0)
    decoder.update([4.0, 100.0, 100.0, 10.0])
    assert decoder.signal == [-0.6, 0.0, 0.0, 0.0]
    assert decoder.below_floor == {0}
    decoder.update([400.0, 100.0, 100.0, 10.0])
    decoder.reset()
    decoder.update([400.0, 100.0, 100.0, 10.0])
    assert decoder.below_floor == frozenset()


def test_nothing_is_read_out_before_the_first_frame() -> None:
    decoder = decoder_of()
    assert isnan(decoder.s)
    assert isnan(decoder.s3)
    assert all(map(isnan, decoder.signal))


def test_settled_once_the_window_is_full_and_again_after_a_reset() -> None:
    decoder = decoder_of()
    for _ in range(2):
        settled = []
        for _ in range(decoder.window_frames + 1):
            settled.append(decoder.is_settled)
            decoder.update([100.0] * 4)
        assert settled == [False] * decoder.window_frames + [True]
        decoder.reset()


def test_window_in_frames_follows_from_the_rate_of_one_plane() -> None:
    session = session_of(decoder={"f0_window_s": 30.0})
    one = info_of("abcd", rate_hz=30.92)
    two = info_of("abcd", planes=(0, 0, 1, 1), rate_hz=30.92)
    assert EnsembleDecoder(session.experiment.decoder, one).window_frames == 928
    assert EnsembleDecoder(session.experiment.decoder, two).window_frames == 464


def test_places_are_those_of_the_decoded_plane() -> None:
    session = session_of(p_plus="d", p_minus="b", decoder={"decode_plane": 1})
    info = info_of("abcd", planes=(0, 1, 0, 1))
    assert EnsembleDecoder(session.experiment.decoder, info).roi_indices == (1, 0)


def test_roi_in_another_plane_is_unknown_and_named() -> None:
    session = session_of(p_plus="ax", p_minus="b")
    with pytest.raises(UnknownRoi, match="not in plane 0: x, b"):
        EnsembleDecoder(session.experiment.decoder, info_of("abcd", planes=(0, 1, 0, 0)))


rows = st.lists(
    st.lists(st.floats(50, 1e5, width=32), min_size=8, max_size=8), min_size=5, max_size=40
)


@given(rows, st.permutations(range(4)), st.permutations(range(4, 8)))
@settings(max_examples=60)
def test_order_of_rois_within_an_ensemble_changes_no_bit(
    frames: list[list[float]], plus: list[int], minus: list[int]
) -> None:
    session = session_of(p_plus="abcd", p_minus="efgh")
    one, other = (
        EnsembleDecoder(session.experiment.decoder, info_of("abcdefgh")) for _ in range(2)
    )
    for row in frames:
        assert one.update(row) == other.update([row[i] for i in (*plus, *minus)])
