"""Which messages are shown at a time: few, and none twice."""

from __future__ import annotations

from typing import Self

from textual.notifications import Notification, Notifications

MOST = 3
"""The most messages at a time: more would cover the screen."""

SAME = 4.0
"""Seconds in which the same text counts as the same message."""


class Toasts(Notifications):
    """The messages that are shown. A text that is said again stands there once; the oldest make room for new ones."""

    def add(self, notification: Notification) -> Self:
        """Add a message, unless its text was added a moment ago. Errors stay longer than others."""
        for shown in list(self):
            if (shown.message, shown.severity) != (notification.message, notification.severity):
                continue
            if notification.raised_at - shown.raised_at < SAME:
                return self
            del self[shown]
        while len(self) >= MOST:
            del self[self._to_leave()]
        return super().add(notification)

    def _to_leave(self) -> Notification:
        """The oldest message that is no error, or when all are errors, the oldest."""
        shown = list(self)
        for notification in shown:
            if notification.severity != "error":
                return notification
        return shown[0]
