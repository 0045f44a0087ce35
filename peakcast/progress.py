"""The progress bar of every command that takes more than a second, always on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Bars:
    """Bars of one command, one below the other.

    Only a terminal shows them move; elsewhere the finished bars are printed once.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def start(self, what: str, total: int | None = None) -> Callable[[int], None]:
        """Show a bar (a spinner without ``total``) and return what moves it on."""
        task = self._progress.add_task(what, total=total)

        def advance(steps: int) -> None:
            self._progress.update(task, advance=steps)

        return advance

    @contextmanager
    def spinner(self, what: str) -> Iterator[None]:
        """Show that something of unknown length is under way; nothing is left of it."""
        task = self._progress.add_task(what, total=None)
        try:
            yield
        finally:
            self._progress.remove_task(task)


@contextmanager
def bars(*, counted: bool = False) -> Iterator[Bars]:
    """Show progress on stderr while the block runs.

    Args:
        counted: show done and total as numbers, too.
    """
    columns = [
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(),
        *([MofNCompleteColumn()] if counted else []),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress)
