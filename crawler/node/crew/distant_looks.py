"""Looks into the processes of a crew: asks them what they compute and what fills their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.event import AsyncResult

from crawler.debugging.looks import BROKEN, PROFILE, STACKS, Question, times_of
from crawler.errors import NotFound, Overloaded, Unavailable, shown
from crawler.node.crew.hosts import numbers
from crawler.node.crew.process import CrawlProcess

ANSWER_S = 5.0
"""The seconds for which an answer is waited for, after those that the look itself takes."""


class DistantLooks:
    """Passes questions on to the process that is meant."""

    def __init__(self, processes: Callable[[], Iterable[CrawlProcess]]) -> None:
        self._processes = processes
        self._next = numbers()
        self._asked: dict[int, AsyncResult] = {}

    def answer(self, question: Question) -> Any:
        """Return what a process has found. Raises NotFound, Overloaded, and Unavailable if it does
        not answer."""
        process = self._process(question.process)
        number, answered = self._next(), AsyncResult()
        self._asked[number] = answered
        try:
            process.tell("look", number, question)
            found, fault = answered.get(timeout=question.seconds + ANSWER_S)
        except gevent.Timeout:
            return _of_silent(process, question)
        finally:
            del self._asked[number]
        if fault.startswith(BROKEN):
            raise Unavailable(f"crawl process {question.process}: {fault}")
        if fault:
            raise Overloaded(fault)
        return _checked(found, question)

    def take(self, number: int, found: Any, fault: str) -> None:
        """Take what a process answers."""
        if number in self._asked:
            self._asked[number].set((found, str(fault)))

    def _process(self, number: int) -> CrawlProcess:
        for process in self._processes():
            if process.number == number:
                return process
        known = ", ".join(str(process.number) for process in self._processes())
        raise NotFound(
            f"process: {shown(number)} is no crawl process of this worker; there are: {known}"
        )


def _checked(found: Any, question: Question) -> Any:
    """Return what was found if it is a profile where one was asked for. Raises Unavailable: a
    process that runs code of spiders is not trusted."""
    try:
        if question.what == PROFILE:
            times_of(found)
    except (TypeError, ValueError):
        raise Unavailable(f"crawl process {question.process} tells what is no profile") from None
    return found


def _of_silent(process: CrawlProcess, question: Question) -> str:
    """Return the stack of a process that does not answer. The system's signal tells where it is."""
    stack = process.stack() if question.what == STACKS else ""
    if stack:
        return f"the process does not answer; its hub's thread executes:\n\n{stack}\n"
    raise Unavailable(
        f"crawl process {process.number} does not answer, because a callback computes, or it gets"
        " no processor; /debug/stacks tells where it is"
    )
