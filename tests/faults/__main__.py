"""Write docs/reliability.md: cd tests && python -m faults > ../docs/reliability.md."""

import sys

from .document import document

sys.stdout.write(document())
