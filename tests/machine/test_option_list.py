"""Types of options are words that a reader of the schedule page and of `townlet strategies` understands."""

from townlet.machine.schedule.json_schema import schedule_schema
from townlet.machine.schedule.option_list import record_options

TOP = {key: value for key, value in schedule_schema({}).items() if key in ("properties", "required")}


def test_a_mapping_says_what_its_values_are() -> None:
    """One within another stands in brackets, and what the schedule may leave out comes after it."""
    types = {option.name: option.type for option in record_options("ScheduleSpec", {"ScheduleSpec": TOP})}

    assert "mapping from name to block" == types["guards"]
    assert "mapping from name to (mapping from name to text) or none" == types["trackers"]
