"""git uam: many agents commit and push, one landing reaches the remote."""

from __future__ import annotations

TYPE_CHECKING = False  # what typing says, without its import: every push loads this
if TYPE_CHECKING:
    from typing import Any

    from uam_hooks.api.batcher import DeployBatcher as DeployBatcher
    from uam_hooks.hot.core.errors import UamError as UamError
    from uam_hooks.hot.queue.model import Action as Action
    from uam_hooks.hot.queue.model import ActionType as ActionType
    from uam_hooks.hot.queue.model import Batch as Batch
    from uam_hooks.hot.queue.model import BatchResult as BatchResult
    from uam_hooks.hot.queue.model import Status as Status

__version__ = "0.2.0"
__all__ = ["Action", "ActionType", "Batch", "BatchResult", "DeployBatcher", "Status", "UamError", "__version__"]

_HOME = {"DeployBatcher": "uam_hooks.api.batcher", "UamError": "uam_hooks.hot.core.errors"}


def __getattr__(name: str) -> Any:
    """The public names, loaded on first use: a push loads this package and needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME.get(name, "uam_hooks.hot.queue.model")), name)
