"""Reads the work queue for its page, its live parts, its files, and the item that follows a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.views.work import PART_WORDS, WorkFilter, WorkList, WorkRow, WorkTab
from domain.approvals import Actor
from front.saved_views import work_filter
from front.subjects.subject import Subject, Subjects, kinds
from store.read import queue
from store.read.pages import Window
from store.read.queue import Chosen, QueueItem

ROWS: Final = 60
_MORE: Final = 120  # rows that are read for live parts, so that a row pushed off the page is not taken for gone


def read_filter(params: Mapping[str, str], subjects: Subjects) -> WorkFilter:
    """The filter in an address or a form. Raises BadInput that names the field."""
    tab, part = work_filter(params, subjects)
    return WorkFilter(tab, part, params.get("cursor", ""))


def shown_subjects(chosen: WorkFilter, subjects: Subjects) -> Sequence[Subject]:
    return [subjects.by_name[name] for name in chosen.tab.split(",")] if chosen.tab else subjects.all


def chosen_for(chosen: WorkFilter, subjects: Subjects, actor: Actor) -> Chosen:
    return Chosen(chosen.part, actor, subjects.decided_by(actor), subjects.deciders)


async def items(
    session: AsyncSession, chosen: WorkFilter, subjects: Subjects, actor: Actor, window: Window
) -> tuple[tuple[QueueItem, ...], str | None]:
    """One page of the filter, most urgent first, and the cursor of the next one."""
    shown = kinds(shown_subjects(chosen, subjects))
    found = await queue.page(session, window, shown, chosen_for(chosen, subjects, actor))
    return found.items, found.next_cursor


async def work_list(
    session: AsyncSession,
    chosen: WorkFilter,
    subjects: Subjects,
    actor: Actor,
    *,
    current: str = "",
    live: bool = False,
) -> WorkList:
    """A page of the queue with its tabs; the first one where nothing is left from the cursor on. `current`: the item
    beside it. `live`: with the rows after the page too. Raises BadInput for a cursor that is not ours."""
    here = [each.name for each in shown_subjects(chosen, subjects)]
    window = Window(limit=_MORE if live else ROWS, cursor=chosen.cursor or None)
    every_kind, whose = kinds(subjects), chosen_for(chosen, subjects, actor)
    page, counts = await queue.counted_page(session, window, every_kind, here, whose)
    if chosen.cursor and not page.items:
        chosen, window = replace(chosen, cursor=""), replace(window, cursor=None)
        page, counts = await queue.counted_page(session, window, every_kind, here, whose)
    rows = [row_of(item, chosen, subjects, actor, current) for item in page.items]
    tabs = [
        WorkTab(
            each.name, each.plural, WorkFilter(each.name, chosen.part).href(), counts[each.name][chosen.part], False
        )
        for each in subjects
    ]
    every = WorkTab("", "all", WorkFilter("", chosen.part).href(), sum(tab.count for tab in tabs), not chosen.tab)
    parts = [
        WorkTab(
            part,
            words,
            WorkFilter(chosen.tab, part).href(),
            sum(counts[name][part] for name in here),
            part == chosen.part,
        )
        for part, words in PART_WORDS.items()
    ]
    shown = [
        WorkTab(tab.name, tab.label, tab.href, tab.count, bool(chosen.tab) and tab.name in here)
        for tab in tabs
        if tab.count or (chosen.tab and tab.name in here)
    ]
    total = next(part.count for part in parts if part.current)
    waiting = {name: of_part[""] for name, of_part in counts.items()}
    return WorkList(chosen, rows, [every, *shown], parts, total, waiting, page.next_cursor)


def row_of(item: QueueItem, chosen: WorkFilter, subjects: Subjects, actor: Actor, current: str = "") -> WorkRow:
    ref = f"{item.kind}/{item.subject_id}"
    return WorkRow(
        item, subjects.by_name[item.kind].label, chosen.href(ref), ref == current, item.holder_id == actor.user_id
    )


def following(rows: Sequence[WorkRow], wanted: str, decides: frozenset[str]) -> WorkRow | None:
    """The item to go on with: from `wanted` on, or from the row after the current one, the first that the reader may
    decide and that nobody else has claimed; else any other."""
    at = next((number for number, row in enumerate(rows) if row.ref == wanted), None)
    if at is None:
        at = next((number + 1 for number, row in enumerate(rows) if row.current), 0)
    ordered = [row for row in (*rows[at:], *rows[:at]) if not row.current]
    free = [row for row in ordered if not row.item.holder_id or row.mine]
    return next((row for row in free if row.item.kind in decides), next(iter(free or ordered), None))
