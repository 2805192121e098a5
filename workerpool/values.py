"""The `dataclass` of dataclasses, made without compiling source text for what all frozen classes have alike.

That text (comparison, hash, repr, what refuses an assignment) is most of what a frozen dataclass costs: twenty of them
were a third of `import workerpool`. Here they share these functions, and only the constructor is compiled.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool = False, eq: bool = True, repr: bool = True, **options: Any) -> Any:
        """Make a class a dataclass; each is frozen, or compared by identity."""
        shared = {"__eq__": _is_equal, "__hash__": _hash} if eq else {}
        shared |= {"__repr__": _shown} if repr else {}
        shared |= {"__setattr__": _set_once, "__delattr__": _refuse_deletion} if frozen else {}

        def make(cls: type) -> type:
            made = dataclasses.dataclass(cls, eq=False, repr=False, **options)
            for name, function in shared.items():
                if name not in cls.__dict__:
                    setattr(made, name, function)
            params = made.__dataclass_params__  # what a dataclass of the user's that inherits from it goes by
            params.frozen, params.eq, params.repr = frozen, eq, repr
            return made

        return make


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, field.name) for field in dataclasses.fields(value) if field.compare)


def _is_equal(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self is other or _compared(self) == _compared(other)


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _shown(self: Any) -> str:
    parts = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(parts)})"


def _set_once(self: Any, name: str, value: Any) -> None:
    """Set a field that the constructor, a copy or an unpickled one has not set yet; a subclass may have more."""
    kind = type(self)
    if hasattr(self, name) if name in kind.__dataclass_fields__ else "__dataclass_fields__" in kind.__dict__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_deletion(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
