"""Asks the other nodes, and answers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

import attrs
from msgspec import MsgspecError
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.nodes.messages import Answer, Question, encode_answer, encode_question
from helix.nodes.neighbours import Neighbours
from helix.nodes.post import Post
from helix.nodes.topics import EVERYONE, topic_of

PATIENCE = 1.0
"""Seconds for which answers are waited for, unless somebody says otherwise."""

TWICE_SECONDS = 10.0
"""Seconds within which a question that comes a second time isn't taken again."""

Answers = dict[str, bytes]
"""What nodes answered: their ids -> JSON."""

Respond = Callable[[bytes], Deferred[bytes]]
"""Answers a question: JSON to JSON. If it fails, there is no answer."""


@attrs.define(eq=False)
class _Asked:
    """:ivar is_open: whether others may answer, too; so it is never complete."""

    waiting_for: set[str]
    is_open: bool
    answered: Deferred[Answers]
    timer: IDelayedCall
    answers: Answers = attrs.field(factory=dict)


class Asking:
    """
    Questions to other nodes, and their answers.

    A node that doesn't answer in time is left out, as one that the question never reached.

    :param clock: the reactor.

    :ivar node: this node's id.
    :ivar responds: what answers which questions: name -> `Respond`.
    """

    _log: Final = Logger(namespace="helix.nodes")

    def __init__(self, post: Post, neighbours: Neighbours, clock: IReactorTime) -> None:
        self.node = post.node
        self.responds: dict[str, Respond] = {}
        self._post = post
        self._neighbours = neighbours
        self._clock = clock
        self._numbers = count(1)
        self._asked: dict[int, _Asked] = {}
        self._taken: dict[tuple[str, int], float] = {}  # questions, the oldest first
        neighbours.on_gone.append(self._lost)

    def knows(self, node: str) -> bool:
        """Whether there is another node of that id, and it can be asked."""
        return self._post.is_up and self._neighbours.knows(node)

    def ask(self, what: str, body: bytes, patience: float = PATIENCE) -> Deferred[Answers]:
        """
        Ask all other nodes.

        :param what: the name of the question.
        :param body: JSON.
        :return: a Deferred of what they answered. It fires at once where there are no others, and
            within ``patience`` seconds; it never fails. Where this node has only just begun to
            listen, whoever is there may answer, for all that time.
        """
        neighbours = self._neighbours
        return self._ask(EVERYONE, neighbours.present, what, body, patience, neighbours.are_to_come)

    def ask_one(
        self, node: str, what: str, body: bytes, patience: float = PATIENCE
    ) -> Deferred[bytes | None]:
        """
        Ask one node, which need not be known, as `ask`.

        :return: a Deferred of what it answered; ``None`` if it didn't in time.
        """
        asked = self._ask(topic_of(node), [node], what, body, patience)
        return asked.addCallback(lambda answers: answers.get(node))

    def asked(self, node: str, question: Question) -> None:
        """Answer another node's question, once: what it wants may not be the same twice."""
        respond = self.responds.get(question.what)
        if respond is None or not self._is_new(node, question.number):
            return  # the first is of a newer version

        def answer(body: bytes) -> None:
            answer = encode_answer(self._post.node, Answer(question.number, body))
            self._post.send(topic_of(node), "answer", answer)

        def unanswered(failure: Failure) -> None:
            if not failure.check(MsgspecError):  # it is of another version
                self._log.failure("Another node's question has no answer", failure)

        maybeDeferred(respond, question.body).addCallback(answer).addErrback(unanswered)

    def answered(self, node: str, answer: Answer) -> None:
        """Take another node's answer."""
        asked = self._asked.get(answer.number)
        if asked is not None and (asked.is_open or node in asked.waiting_for):
            asked.waiting_for.discard(node)
            asked.answers[node] = answer.body
            self._end_if_complete(answer.number)

    def stop(self) -> None:
        """Wait for nothing any more: what was asked has the answers that came."""
        for number in list(self._asked):
            self._end(number)

    # inside

    def _ask(
        self,
        topic: str,
        nodes: Iterable[str],
        what: str,
        body: bytes,
        patience: float,
        is_open: bool = False,
    ) -> Deferred[Answers]:
        waiting_for = set(nodes)
        number = next(self._numbers)
        question = encode_question(self._post.node, Question(number, what, body))
        if not (waiting_for or is_open) or not self._post.send(topic, "question", question):
            return succeed({})
        timer = self._clock.callLater(patience, self._end, number)
        asked = self._asked[number] = _Asked(waiting_for, is_open, Deferred(), timer)
        return asked.answered

    def _is_new(self, node: str, number: int) -> bool:
        """Whether a question comes for the first time."""
        now = self._clock.seconds()
        while self._taken and now - next(iter(self._taken.values())) >= TWICE_SECONDS:
            del self._taken[next(iter(self._taken))]
        if (node, number) in self._taken:
            return False
        self._taken[node, number] = now
        return True

    def _lost(self, node: str) -> None:
        for number, asked in list(self._asked.items()):
            asked.waiting_for.discard(node)
            self._end_if_complete(number)

    def _end_if_complete(self, number: int) -> None:
        asked = self._asked[number]
        if not (asked.waiting_for or asked.is_open):
            self._end(number)

    def _end(self, number: int) -> None:
        asked = self._asked.pop(number)
        if asked.timer.active():
            asked.timer.cancel()
        asked.answered.callback(asked.answers)
