"""Whether CI works on a branch, and how long that holds the pushes for it."""

from __future__ import annotations
