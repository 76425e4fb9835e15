"""Interruption of a training by signals: what is saved, and how it ends."""

from __future__ import annotations

import logging
import signal
import threading

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from aum_edge.errors import Stopped

log = logging.getLogger(__name__)


class InterruptHandler(Checkpoint):
    """Tracks the last epoch that is on disk, and leaves signals to the caller's handlers.

    Being a ``Checkpoint``, and the last of them, it is called after the epoch is saved.
    """

    def __init__(self, title: str, epochs: int, quiet: bool = False) -> None:
        self._title = title
        self._epochs = epochs
        self._level = logging.DEBUG if quiet else logging.INFO
        self._saved = 0
        self._handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log where a resumed training goes on."""
        self._handle_signals()
        self._saved = trainer.current_epoch
        if self._saved and trainer.is_global_zero:
            log.log(self._level, "%s: goes on after epoch %d of %d", self._title, *self._place)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The epoch is saved."""
        self._saved = trainer.current_epoch + 1

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Let a second Ctrl-C through, which Lightning ignores from here on."""
        self._handle_signals()

    def stopped(self, end: BaseException) -> Stopped | None:
        """What ended the training as a request to stop; None where nobody asked for that."""
        number = _signal_behind(end)
        if number is None:
            return None
        if not self._saved:
            return Stopped(number, f"before the end of epoch 1 of {self._epochs}")
        return Stopped(number, "after epoch {} of {}".format(*self._place))

    @property
    def _place(self) -> tuple[int, int]:
        return self._saved, self._epochs

    def _handle_signals(self) -> None:
        """Lightning's handler of SIGTERM waits for other processes, which may wait elsewhere.

        Where the caller has none, Lightning's stays: it ends the training after a batch.
        """
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers.items():
                if callable(handler):
                    signal.signal(number, handler)


def _signal_behind(end: BaseException | None) -> int | None:
    """The signal that an exception comes from: Lightning makes a SystemExit of both."""
    if isinstance(end, Stopped):
        return end.number
    if isinstance(end, SIGTERMException):
        return signal.SIGTERM
    if isinstance(end, KeyboardInterrupt):
        return signal.SIGINT
    return _signal_behind(end.__context__) if isinstance(end, SystemExit) else None
