"""Commands of others: how one is started, bounded and ended, and what GitHub's command line has to be told."""

from __future__ import annotations
