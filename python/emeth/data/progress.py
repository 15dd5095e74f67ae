"""Says how far the preparation of data has come, every few seconds, so that nobody has to wonder."""

import time

from emeth.wire.events import Inbox, Outbox

_EVERY_SECONDS = 5.0


class Progress:
    """Reports to the parent; raises InboxClosed when it is gone."""

    def __init__(self, outbox: Outbox, inbox: Inbox | None = None) -> None:
        self._outbox = outbox
        self._inbox = inbox
        self._step = ""
        self._began = self._told = time.monotonic()

    def __call__(self, step: str, texts: int, done_bytes: int, total_bytes: int) -> None:
        if self._inbox is not None:
            self._inbox.check_open()
        now = time.monotonic()
        if step != self._step:
            self._step, self._began = step, now
        if now - self._told < _EVERY_SECONDS:
            return
        self._told = now
        speed = done_bytes / max(now - self._began, 1e-9)
        self._outbox.emit(
            "preparing",
            step=step,
            texts=texts,
            bytes=done_bytes,
            totalBytes=total_bytes,
            bytesPerSecond=round(speed),
            secondsLeft=round((total_bytes - done_bytes) / max(speed, 1)),
        )
