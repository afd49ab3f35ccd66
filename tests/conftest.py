"""What all tests share: how hypothesis searches."""

from __future__ import annotations

import os

from hypothesis import settings

# Machines differ in speed, and so do runs: no example is wrong for having been slow.
settings.register_profile("default", deadline=None)
# Where nobody looks on, a run tells of the change that it tests and of nothing else.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)

settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)
