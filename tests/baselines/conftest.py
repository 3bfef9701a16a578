"""One small network that has learnt a few digits, and its task, for every file of this wing."""

import pytest
from small_tasks import small_task, taught


@pytest.fixture(scope="module")
def learnt(tiny, few):
    return taught(tiny, few, 0)


@pytest.fixture(scope="module")
def task(few, tiny):
    return small_task(few, tiny)
