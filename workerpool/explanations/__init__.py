"""What each error, each stage and each call means, as data: of it `workerpool explain` and docs/errors.md are made.

Nothing of the library imports this, so that it costs nothing until somebody asks.
"""

from .calls import CALLS, Call
from .errors import ERRORS, STAGES, Explanation, Sent, StageOf

__all__ = ["CALLS", "ERRORS", "STAGES", "Call", "Explanation", "Sent", "StageOf"]
