"""The page on the town shows the tables that the code reads."""

from town_page import PAGE, section


def test_the_page_has_the_tables_of_the_code() -> None:
    """Needs, object kinds, actions, features, reward terms and KPIs stand on the page as in the code."""
    assert section() in PAGE.read_text(encoding="utf-8")
