"""The name by which a push that waited while the package was replaced starts its next flusher."""

from uam_hooks.flush.flusher import main as main
