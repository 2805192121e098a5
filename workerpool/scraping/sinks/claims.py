"""Who has claimed which name, in little memory."""

from array import array
from hashlib import blake2b

__all__ = ["Claims"]

_FIRST_SIZE = 2**10


class Claims:
    """Keep for each name, told apart by 64 bits of a digest, a number: 32 to 64 bytes a name, however long it is."""

    def __init__(self) -> None:
        self._keys, self._owners = _empty(_FIRST_SIZE)
        self._count = 0

    def owner(self, name: str) -> int | None:
        """Return who has the name; None if nobody."""
        key = _key(name)
        place = self._place(key)
        return self._owners[place] if self._keys[place] == key else None

    def claim(self, name: str, owner: int) -> None:
        """Note who has the name from now on."""
        if 2 * self._count >= len(self._keys):
            self._grow()
        self._put(_key(name), owner)

    def _put(self, key: int, owner: int) -> None:
        place = self._place(key)
        self._count += self._keys[place] != key
        self._keys[place], self._owners[place] = key, owner

    def _place(self, key: int) -> int:
        """Return where the key is, or would be."""
        last = len(self._keys) - 1
        place = key & last
        while self._keys[place] not in (0, key):
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        keys, owners = self._keys, self._owners
        self._keys, self._owners = _empty(2 * len(keys))
        self._count = 0
        for key, owner in zip(keys, owners, strict=True):
            if key:
                self._put(key, owner)


def _empty(size: int) -> tuple["array[int]", "array[int]"]:
    return array("Q", bytes(8 * size)), array("q", bytes(8 * size))


def _key(name: str) -> int:
    """Return a number for the name, never 0; the same for names that differ by case only."""
    digest = blake2b(name.casefold().encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
