"""git uam: many agents commit and push, one landing reaches the remote."""

__version__ = "0.1.0"
