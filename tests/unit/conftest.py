"""What the tests of single modules share."""

from collections.abc import Iterator

import pytest
from waiting import WAIT_S

from bci.recording import journal


@pytest.fixture(scope="session", autouse=True)
def patient_journals() -> Iterator[None]:
    """A journal that is closed is whole, however long the disk takes: it is read just after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "CLOSE_S", WAIT_S)
        yield
