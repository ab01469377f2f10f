"""Golden files: what the library gave for fixed inputs, in plain words and numbers; `tests/test_golden.py` compares.

    python -m tests.golden.make                  # compute everything and write the files
    python -m tests.golden.make runs page        # only these parts
    python -m tests.golden.make --check          # compare, and say how far everything is from the files

`compute.py` alone uses the library: where its interface changes, that file follows and the data stay. A number that is
meant to move is written anew by the script, in a commit of its own that says why. How results are compared, and how
closely where they were not made, is said in `compare.py`.
"""

import sys
from pathlib import Path

# The helpers of the tests (`tiny`, `widget_rig`, ...) are imported by their names, as under pytest.
if (_tests := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.insert(0, _tests)
