"""The page of a run that goes on: after which time it counts as left alone."""

from datetime import UTC, datetime

import pytest

from townlet.report.following import Following


@pytest.mark.parametrize(
    ("seconds", "reloads", "time"), [(1, 300, "12:05:00"), (7, 43, "12:05:01"), (600, 3, "12:30:00")]
)
def test_a_page_is_followed_for_five_minutes_or_three_pages_more(seconds: int, reloads: int, time: str) -> None:
    """Scripts count reloads and readers look at a clock: both end at the same moment, whichever is later of the two."""
    following = Following(seconds=seconds, written_at=datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert (reloads, f"2026-11-27 {time} UTC") == (following.most_reloads, following.still_after)
