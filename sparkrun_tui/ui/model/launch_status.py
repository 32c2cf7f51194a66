"""The statuses of a launch by what they mean on screen: on its way, serving, over.

They are compared by their words: the launch layer is imported with the first launch, not with the app.
"""

SERVING = frozenset({"ready", "degraded"})
COMING = frozenset({"starting", "cancelling"})
OVER = frozenset({"failed", "cancelled", "stopped"})
