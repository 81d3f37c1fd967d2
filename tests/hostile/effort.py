"""How hard the hostile clients try: a little in every run of the suite, for hours where somebody asks for it."""

import os

EFFORT = int(os.environ.get("ANTIPHON_TEST_EFFORT", "1"))
"""Times as many examples as usual."""

SECONDS = 240 * EFFORT
"""Until a test is given up: four times what a busy machine takes."""
