"""Follows the wall clock of this node through the events of the sync machine, and tells its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from peatnode.model.clock import ClockReading, ClockVerdict
from peatnode.model.sync import JudgeClock, StoreAnswer
from peatnode.protocol.clock.judge import ClockJudge
from peatnode.protocol.clock.median import ClockDeviation

REVIEW_SECONDS = 5.0
"""Interval of reviews without an event: a node without peers notices that its clock was set."""

FIRST_REVIEW_SECONDS = 1.0
"""Interval of reviews while the clock has not been compared."""

RENEW_SECONDS = 1.0
"""A verdict is told again when the shift of the clock has changed by more than this since it was told."""

RETRY_SECONDS = 0.2
"""Time after which a verdict is told again that did not reach the store."""

TellStore = Callable[[JudgeClock, Callable[[StoreAnswer | None], None]], None]
"""Tells the store, and passes on its answer; None: the store could not be reached."""


class ClockWatch:
    """The judge of the clock, and what the store and the shell were told of its verdict.

    Without readings it does nothing, and the peers are told no time.
    """

    def __init__(
        self,
        now: float,
        tell_store: TellStore,
        announce: Callable[[ClockVerdict, str], None],
        set_timer: Callable[[float], None],
    ) -> None:
        """`announce` passes on a new verdict, and a sentence while the clock is far from the median. `review` is to
        be called when the timer is due, which is set to a number of seconds."""
        self._judge = ClockJudge(now)
        self._deviation = ClockDeviation()
        self._ask_store = tell_store
        self._announce = announce
        self._set_timer = set_timer
        self._now = now
        self._reading: ClockReading | None = None
        self._announced: tuple[ClockVerdict, str] | None = None
        self._told: JudgeClock | None = None
        """What the present process of the store was told and has acknowledged."""
        self._telling: JudgeClock | None = None
        self._is_telling = False

    @property
    def verdict(self) -> ClockVerdict:
        return self._judge.verdict

    @property
    def ahead(self) -> float | None:
        """The clock of this node minus the median of its connected peers, in seconds; None: not known."""
        return self._deviation.seconds

    @property
    def summary(self) -> ClockVerdict:
        """The verdict for people: it also says that the clock is far from the median."""
        verdict, sentence = self._judge.verdict, self._deviation.sentence
        return replace(verdict, reason=sentence) if sentence and not verdict.is_denied else verdict

    @property
    def milliseconds(self) -> int:
        """The time for a peer, in Unix milliseconds; 0: not known."""
        return 0 if self._reading is None else max(1, int(self._reading.unix * 1000))

    def read(self, now: float, reading: ClockReading) -> None:
        """Call it before each event is handled."""
        is_first = self._reading is None
        self._now, self._reading = now, reading
        told = self._told
        if is_first or (told is not None and abs(reading.shift - told.shift) > RENEW_SECONDS):
            self.review()

    def heard(self, instance: str, name: str, milliseconds: int, rtt: float) -> None:
        """A message with the clock of a peer has arrived: it was on its way for half of the round trip."""
        if self._reading is not None and milliseconds:
            unix = milliseconds / 1000 + rtt / 2
            self._judge.measured(instance, name, unix, self._reading)
            self.review()

    def left(self, instance: str) -> None:
        self._judge.left(instance)
        self.review()

    def expect_peers(self, are_known: bool, are_sought: bool) -> None:
        self._judge.knows_peers = are_known
        self._judge.may_find_peers = are_sought
        self.review()

    def offset_of(self, instance: str) -> float | None:
        """The clock of a peer minus that of this node, in seconds; None: not known."""
        return None if self._reading is None else self._judge.offset_of(instance, self._reading)

    def review(self) -> None:
        """Judges anew, and tells what has changed."""
        if self._reading is None:
            return
        verdict = self._judge.review(self._now, self._reading)
        self._deviation.review(self._judge.ahead(self._reading))
        news = (verdict, self._deviation.sentence)
        if news != self._announced:
            self._announced = news
            self._announce(*news)
        is_settled = verdict.may_end_documents or verdict.is_denied
        self._set_timer(REVIEW_SECONDS if is_settled else FIRST_REVIEW_SECONDS)
        self._tell_store()

    # --- the store

    def store_lost(self) -> None:
        """The next process of the store has been told nothing."""
        self._told = self._telling = None
        self.review()

    def _tell_store(self) -> None:
        """Call it after a review only: the verdict and the shift belong together."""
        if self._is_telling or self._reading is None:
            return
        verdict, shift = self._judge.verdict, self._reading.shift
        told = self._told
        if told and told.verdict == verdict and abs(told.shift - shift) <= RENEW_SECONDS:
            return
        self._is_telling = True
        self._telling = JudgeClock(verdict, shift)
        self._ask_store(self._telling, self._answered)

    def _answered(self, answer: StoreAnswer | None) -> None:
        self._is_telling = False
        if answer is None:
            self._told = None
            self._set_timer(RETRY_SECONDS)
            return
        self._told, self._telling = self._telling, None
        self.review()
