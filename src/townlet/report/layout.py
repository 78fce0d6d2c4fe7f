"""Lay a table out for the width of a terminal: columns that can be missed go first, and a number never breaks."""

from collections.abc import Iterator, Sequence

from attrs import define, field, frozen
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from townlet.escapes import one_line

__all__ = ["Column", "Grid"]

_GAP = 2
"""Blanks between two columns."""
_NARROW = 12
"""Columns that a text needs at least to be folded into lines that can still be read."""


@frozen
class Column:
    """A column of a table."""

    name: str
    """Its heading."""
    is_number: bool = field(default=False, kw_only=True)
    """True for numbers, digests and names: aligned as they are, never broken."""
    is_optional: bool = field(default=False, kw_only=True)
    """True where the column can be left out on a narrow terminal."""


@define
class Grid:
    """A table that fits any width: optional columns go, texts fold, at last each row becomes lines of its own."""

    title: str
    """What the rows are."""
    columns: tuple[Column, ...]
    """The columns, the most important first."""
    rows: list[tuple[str, ...]] = field(factory=list)
    """Cells, one for each column."""

    def add_row(self, *cells: str) -> None:
        """Add a row; line feeds in a cell are escaped, so that no cell looks like another row."""
        self.rows.append(tuple(one_line(cell) for cell in cells))

    @property
    def natural_width(self) -> int:
        """Columns of a terminal that hold every cell on one line."""
        return sum(self._width(i) for i in range(len(self.columns))) + _GAP * (len(self.columns) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the title, and the rows as they fit."""
        yield Text(one_line(self.title), style="italic")
        width = options.max_width
        places = list(range(len(self.columns)))
        while self._least(places) > width and any(self.columns[i].is_optional for i in places):
            places.remove(max(i for i in places if self.columns[i].is_optional))
        if self._least(places) > width:
            yield from self._stacked()
            return
        yield self._table(places)
        missing = [column.name for i, column in enumerate(self.columns) if i not in places]
        if missing:
            yield Text(f"left out here: {', '.join(missing)}; --wide prints all columns", style="dim")

    def _width(self, place: int) -> int:
        return max(cell_len(self.columns[place].name), *(cell_len(row[place]) for row in self.rows), 0)

    def _least(self, places: Sequence[int]) -> int:
        """Return the width below which these columns cannot be shown."""
        widths = (
            self._width(i) if self.columns[i].is_number else min(self._width(i), self._longest_word(i)) for i in places
        )
        return sum(widths) + _GAP * (len(places) - 1)

    def _longest_word(self, place: int) -> int:
        words = [word for row in self.rows for word in row[place].split()]
        return max(_NARROW, cell_len(self.columns[place].name), *(min(cell_len(word), 24) for word in words), 0)

    def _table(self, places: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
        for i in places:
            column = self.columns[i]
            least = self._width(i) if column.is_number else min(self._width(i), self._longest_word(i))
            table.add_column(column.name, no_wrap=column.is_number, overflow="fold", min_width=least)
        for row in self.rows:
            table.add_row(*(Text(row[i]) for i in places))
        return table

    def _stacked(self) -> Iterator[Text]:
        """Yield one line a cell, and a blank line between two rows."""
        label = max(cell_len(column.name) for column in self.columns)
        for number, row in enumerate(self.rows):
            if number:
                yield Text("")
            for column, cell in zip(self.columns, row, strict=True):
                if cell:
                    yield Text(f"{column.name:<{label}}  {cell}")
