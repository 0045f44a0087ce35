"""Shared by all tests: what cannot run here is left out aloud, never silently.

A test that needs a program from outside Python carries a marker from ``NEEDS``. Where the program
is missing the test is skipped, and the closing summary says how many were left out, for want of
what, and how to get it.
"""

import shutil
from collections import Counter

import pytest

# marker -> (programs it needs, how to get them)
NEEDS = {"prometheus": (("prometheus", "promtool"), "apt-get install prometheus")}


def pytest_collection_modifyitems(config, items):
    left_out = Counter()
    for marker, (programs, remedy) in NEEDS.items():
        missing = [program for program in programs if shutil.which(program) is None]
        if not missing:
            continue
        reason = f"{' and '.join(missing)} not found ({remedy})"
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
                left_out[reason] += 1
    config.stash[LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter, config):
    for reason, count in config.stash.get(LEFT_OUT, {}).items():
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"left out: {tests}: {reason}", yellow=True)


LEFT_OUT = pytest.StashKey[Counter]()
