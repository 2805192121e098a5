"""What the store and the service refuse, each with the words for whoever has asked."""

__all__ = ["Busy", "Conflict", "Fingerprint", "NoSuch", "ServiceError", "StoreDown", "StoreRefused"]


class ServiceError(Exception):
    """Root of what the service raises on its own account."""


class NoSuch(ServiceError):
    """There is no job, result or lane of that name."""


class Conflict(ServiceError):
    """The state forbids it: an id that exists, a job that runs, a submission that is still being stored."""


class Fingerprint(ServiceError):
    """An Idempotency-Key came with another body than the first time."""


class Busy(ServiceError):
    """More waits than there is room for; try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreDown(ServiceError):
    """The database does not take this now: full, locked, read-only or gone. Names it and the cure; nothing is lost."""

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreRefused(ServiceError):
    """The database can't be used: corrupt, newer, another program's, or in use. Names it and the cure."""
