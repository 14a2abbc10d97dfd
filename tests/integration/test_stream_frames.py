"""Frames from publisher to subscriber: the first one, all of them, and what is told when not."""

import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq
from waiting import WAIT_MS, WAIT_S, until

from bci.core.loop_types import Malformed
from bci.core.stream_types import Roi, RoiFrame, StreamInfo
from bci.stream.access import Access, new_token
from bci.stream.acquisition_client import AcquisitionClient
from bci.stream.clock import PeerClock
from bci.stream.errors import StreamError
from bci.stream.handshake import HandshakeServer
from bci.stream.keys import Keys
from bci.stream.publisher import Delivery, FramePublisher
from bci.stream.subscriber import FrameSubscriber

INFO = StreamInfo(
    "20261122T081500", 3, "test", 30.0, 1, (512, 796), 1, 0.0, None, (Roi(0, "roi0000", 0),)
)


def frame(frame_id, n_rois=4):
    values = np.arange(n_rois, dtype=np.float32) + frame_id
    return RoiFrame(INFO.session_hash, INFO.roi_hash, 3, frame_id, 0, 17, 0, values)


class Acquisition:
    """Publisher and handshake, the latter on a thread, as the acquisition process has them."""

    def __init__(self, queue_frames=1000):
        self.publisher = FramePublisher(queue_frames=queue_frames)
        self.server = HandshakeServer(INFO, self.publisher)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            self.server.poll(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.server.close()
        self.publisher.close()


def next_of(subscriber, timeout_s=WAIT_S):
    received = subscriber.receive()
    if received is None and subscriber.socket.poll(int(timeout_s * 1000)):
        received = subscriber.receive()
    return received


def test_a_frame_arrives_as_it_was_sent_with_its_raw_bytes():
    with Acquisition() as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        assert client.describe() == INFO or repr(client.describe()) == repr(INFO)
        assert client.start(subscriber.token, Delivery.LIVE) == 3
        before_ns = time.perf_counter_ns()
        assert acquisition.publisher.publish(frame(7))
        received = next_of(subscriber)
        sent = received.frame
        assert (sent.frame_id, sent.epoch, sent.plane, sent.t_scope_ns) == (7, 3, 0, 17)
        assert sent.session_hash == INFO.session_hash
        np.testing.assert_array_equal(sent.fluorescence, [7, 8, 9, 10])
        assert len(received.header) == 64
        assert received.buffer == sent.fluorescence.tobytes()
        assert before_ns <= sent.t_sent_ns <= received.t_received_ns
        client.close()
        subscriber.close()


def test_the_first_frame_after_start_arrives_fifty_times_out_of_fifty():
    for repeat in range(50):
        with Acquisition() as acquisition:
            client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
            subscriber = FrameSubscriber(acquisition.publisher.endpoint)
            client.start(subscriber.token, Delivery.LIVE)
            acquisition.publisher.publish(frame(repeat))
            assert next_of(subscriber).frame.frame_id == repeat
            client.close()
            subscriber.close()


def test_start_waits_for_this_subscriber_even_where_another_one_listens_already():
    with Acquisition() as acquisition:
        other = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(other.token, Delivery.LIVE)
        with pytest.raises(StreamError, match=r"did not answer 'start' within 0\.1 s"):
            client.start(b"not connected yet", Delivery.LIVE, timeout_s=0.1)
        client.close()
        other.close()


def test_frames_sent_before_anybody_listens_are_not_kept():
    with Acquisition() as acquisition:
        acquisition.publisher.publish(frame(0))
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LIVE)
        acquisition.publisher.publish(frame(1))
        assert next_of(subscriber).frame.frame_id == 1
        client.close()
        subscriber.close()


def test_lossless_loses_none_of_10000_frames_with_credits():
    with Acquisition(queue_frames=64) as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint, queue_frames=64)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LOSSLESS, 64)

        def send():
            for frame_id in range(10_000):
                while not acquisition.publisher.publish(frame(frame_id)):
                    pass
            acquisition.publisher.finish()

        sender = threading.Thread(target=send)
        sender.start()
        for frame_id in range(10_000):
            assert next_of(subscriber).frame.frame_id == frame_id
            if frame_id % 32 == 31:
                client.credit(32)
        sender.join()
        status = client.status()
        assert (status.frames_sent, status.last_frame_id, status.ended) == (10_000, 9_999, True)
        assert status.delivery is Delivery.LOSSLESS
        client.close()
        subscriber.close()


def test_lossless_sends_nothing_without_a_credit():
    with Acquisition() as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LOSSLESS, 2)
        sent = [acquisition.publisher.publish(frame(i), timeout_s=0.01) for i in range(4)]
        assert sent == [True, True, False, False]
        client.credit(1)
        assert acquisition.publisher.publish(frame(2), timeout_s=WAIT_S)
        assert [next_of(subscriber).frame.frame_id for _ in range(3)] == [0, 1, 2]
        assert subscriber.receive() is None
        client.close()
        subscriber.close()


def test_more_frames_than_the_queue_holds_wait_and_are_not_dropped():
    with Acquisition(queue_frames=16) as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint, queue_frames=16)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LOSSLESS, 16)
        acquisition.publisher.grant(1000)
        sent = 0
        while acquisition.publisher.publish(frame(sent, n_rois=50_000)):
            sent += 1
        assert sent < 1000
        # held back, not lost: the same frame goes out when there is room
        ids = [next_of(subscriber).frame.frame_id for _ in range(sent)]
        assert ids == list(range(sent))
        until(lambda: acquisition.publisher.publish(frame(sent)))
        assert next_of(subscriber).frame.frame_id == sent
        client.close()
        subscriber.close()


def test_a_publisher_killed_in_the_middle_of_a_frame_leaves_whole_frames_and_a_usable_socket():
    command = [sys.executable, Path(__file__).parents[1] / "publishing_child.py"]
    subscriber, got = None, []
    for epoch in range(2):
        with subprocess.Popen([*command, str(epoch)], stdout=subprocess.PIPE, text=True) as child:
            endpoint, channel = child.stdout.readline().split()
            if subscriber is None:
                subscriber = FrameSubscriber(endpoint)
            else:
                subscriber.connect(endpoint)
            client = AcquisitionClient(channel)
            client.start(subscriber.token, Delivery.LIVE, timeout_s=WAIT_S)
            client.close()
            got += [next_of(subscriber).frame for _ in range(20)]
            child.kill()
            child.wait()
        while (received := next_of(subscriber, timeout_s=0.2)) is not None:
            got.append(received.frame)
    # the last of the first publisher may come among those of the second
    assert all(isinstance(each, RoiFrame) for each in got)
    for epoch in range(2):
        ids = [each.frame_id for each in got if each.epoch == epoch]
        assert len(ids) > 0
        assert ids == sorted(set(ids)), epoch
    subscriber.close()


def test_nothing_stays_open_after_close():
    process = psutil.Process()
    n_open = process.num_fds if hasattr(process, "num_fds") else process.num_handles

    def once():
        with Acquisition() as acquisition:
            subscriber = FrameSubscriber(acquisition.publisher.endpoint)
            client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
            client.start(subscriber.token, Delivery.LIVE)
            client.close()
            subscriber.close()

    once()
    before, threads = n_open(), threading.active_count()
    for _ in range(10):
        once()
    # sockets of the shared context are given back by its own thread, a moment later
    until(lambda: n_open() <= before + 2)
    assert threading.active_count() <= threads


def test_more_credits_than_the_queue_holds_are_refused():
    with Acquisition(queue_frames=8) as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        with pytest.raises(
            StreamError, match=r"refused 'start': 64 credits, but the queue holds 8"
        ):
            client.start(subscriber.token, Delivery.LOSSLESS, 64)
        client.close()
        subscriber.close()


def test_live_overflow_never_waits_and_shows_as_a_gap_in_the_ids():
    with Acquisition(queue_frames=4) as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint, queue_frames=4)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LIVE)
        n_sent = 400
        for frame_id in range(n_sent):
            # large enough that the kernel's own buffers do not take them all
            assert acquisition.publisher.publish(frame(frame_id, n_rois=50_000))
        ids = [next_of(subscriber).frame.frame_id]
        while (received := next_of(subscriber, timeout_s=0.3)) is not None:
            ids.append(received.frame.frame_id)
        assert ids == sorted(set(ids))
        assert len(ids) < n_sent
        # once there is room again, frames come and the gap is seen in their ids
        newer = itertools.count(n_sent)
        while ids[-1] < n_sent:
            acquisition.publisher.publish(frame(next(newer)))
            ids.append(next_of(subscriber).frame.frame_id)
        assert ids == sorted(set(ids))
        client.close()
        subscriber.close()


def test_waiting_counts_newer_frames_and_loses_none():
    with Acquisition() as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LIVE)
        assert subscriber.waiting(3) == 0
        for frame_id in range(5):
            acquisition.publisher.publish(frame(frame_id))
        until(lambda: subscriber.waiting(5) == 5)
        assert subscriber.waiting(3) == 3
        assert [subscriber.receive().frame.frame_id for _ in range(5)] == [0, 1, 2, 3, 4]
        assert subscriber.waiting(3) == 0
        client.close()
        subscriber.close()


def test_a_subscriber_goes_on_at_the_publisher_of_the_next_epoch():
    with Acquisition() as first, Acquisition() as second:
        subscriber = FrameSubscriber(first.publisher.endpoint)
        client = AcquisitionClient(first.server.endpoint)
        client.start(subscriber.token, Delivery.LIVE)
        for frame_id in range(3):
            first.publisher.publish(frame(frame_id))
        until(lambda: subscriber.waiting(3) == 3)
        client.close()
        client = AcquisitionClient(second.server.endpoint)
        subscriber.connect(second.publisher.endpoint)
        client.start(subscriber.token, Delivery.LIVE)
        first.publisher.publish(frame(99))
        second.publisher.publish(frame(50))
        assert [next_of(subscriber).frame.frame_id for _ in range(4)] == [0, 1, 2, 50]
        client.close()
        subscriber.close()


def test_queued_frames_leave_before_a_publisher_ends():
    with Acquisition() as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LIVE)
        for frame_id in range(100):
            acquisition.publisher.publish(frame(frame_id, n_rois=1000))
        acquisition.publisher.close()
        assert [next_of(subscriber).frame.frame_id for _ in range(100)] == list(range(100))
        client.close()
        subscriber.close()


def test_status_and_stop():
    with Acquisition() as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        assert not acquisition.server.wait_started(0.0)
        client.start(subscriber.token, Delivery.LIVE)
        assert acquisition.server.wait_started(WAIT_S)
        acquisition.publisher.publish(frame(5))
        status = client.status()
        assert (status.frames_sent, status.last_frame_id, status.ended) == (1, 5, False)
        assert 0 < status.t_first_sent_ns <= time.perf_counter_ns()
        client.stop()
        assert acquisition.server.stopped
        client.close()
        subscriber.close()


def test_the_clock_of_the_same_host_is_ours_also_where_nobody_waits_for_it():
    with Acquisition() as acquisition:
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        tied, asked = PeerClock(), PeerClock()
        client.tie(tied)
        assert not client.hear_time(asked)
        client.ask_time()
        until(lambda: client.hear_time(asked))
        assert not client.hear_time(asked)
        for clock in (tied, asked):
            assert clock.offset is not None
            assert clock.offset.offset_ns == 0
            assert clock.offset.error_ns < WAIT_S * 1e9
        client.close()


def test_time_is_asked_of_nobody_without_an_end():
    client = AcquisitionClient("tcp://127.0.0.1:9")

    def grant_until_full():
        while True:
            client.credit(1)

    with pytest.raises(StreamError, match="not running"):
        grant_until_full()
    for _ in range(3):
        client.ask_time()
    assert not client.hear_time(PeerClock())
    client.close()


def test_a_silent_acquisition_is_told_with_address_request_and_time():
    client = AcquisitionClient("tcp://127.0.0.1:9", timeout_s=0.05)
    with pytest.raises(StreamError, match=r"tcp://127\.0\.0\.1:9 did not answer 'describe' within"):
        client.describe()
    client.close()


@pytest.mark.parametrize("parts", [[b""], [b"\xc1"], [b"a", b"b"], [b"\x93\x01\x02\x03"] * 5])
def test_garbage_on_the_handshake_is_refused_and_the_next_request_answered(parts):
    with Acquisition() as acquisition:
        garbage = zmq.Context.instance().socket(zmq.DEALER)
        garbage.connect(acquisition.server.endpoint)
        garbage.send_multipart(parts)
        assert garbage.poll(WAIT_MS)
        assert b"not a request" in garbage.recv()
        garbage.close(0)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        assert client.describe().session == INFO.session
        client.close()


def test_an_address_that_is_taken_is_told():
    with Acquisition() as acquisition:
        port = int(acquisition.publisher.endpoint.rsplit(":", 1)[1])
        with pytest.raises(StreamError, match=r"cannot bind tcp://127\.0\.0\.1:\d+: Address"):
            FramePublisher(port=port)


def test_an_address_that_others_can_reach_is_refused_unless_asked_for():
    with pytest.raises(StreamError, match=r"Set rig\.stream\.host = '127\.0\.0\.1'"):
        FramePublisher(host="0.0.0.0")
    access = Access(new_token(), Keys(*zmq.curve_keypair()))
    publisher = FramePublisher(host="0.0.0.0", exposed=True, access=access)
    publisher.close()


def test_wrong_bytes_are_malformed_and_the_next_frame_is_taken():
    with Acquisition() as acquisition:
        subscriber = FrameSubscriber(acquisition.publisher.endpoint)
        client = AcquisitionClient(acquisition.server.endpoint, timeout_s=WAIT_S)
        client.start(subscriber.token, Delivery.LIVE)
        acquisition.publisher.publish_bytes(b"short", b"1234")
        acquisition.publisher.publish(frame(1))
        first, second = next_of(subscriber), next_of(subscriber)
        assert first.frame == Malformed("header of 5 bytes, not 64", 5 + 5 + 4)
        assert second.frame.frame_id == 1
        client.close()
        subscriber.close()
