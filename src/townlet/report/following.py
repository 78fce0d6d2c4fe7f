"""The page of a run that goes on: how often it is written and read again, and when nobody writes it any more."""

from datetime import datetime, timedelta

from attrs import frozen

__all__ = ["STILL_SECONDS", "WRITTEN_EVERY", "Following"]

WRITTEN_EVERY = 60
"""Seconds after which the page is written again though the run wrote nothing: its time tells that somebody follows."""
STILL_SECONDS = 300
"""A page that was not written for so long is not followed any more."""
_LEAST_RELOADS = 3


@frozen(kw_only=True)
class Following:
    """What the page of a run that goes on says of itself."""

    seconds: int
    """Between two reloads."""
    written_at: datetime
    """When it was written, UTC: no two pages of one follower have the same."""

    @property
    def stamp(self) -> str:
        """The time of writing, as text that changes with each page."""
        return self.written_at.isoformat()

    @property
    def written(self) -> str:
        """The time of writing for a reader."""
        return _shown(self.written_at)

    @property
    def still_after(self) -> str:
        """The time, for a reader, after which whoever still finds this page knows that nobody follows the run."""
        return _shown(self.written_at + timedelta(seconds=self.most_reloads * self.seconds))

    @property
    def most_reloads(self) -> int:
        """Reloads without a new page after which a browser reloads it no more."""
        return max(_LEAST_RELOADS, -(-STILL_SECONDS // self.seconds))


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
