"""
What one client can do to a daemon, and what another sees of it: memory, lag, and time to answer.

    python bench/attacks.py                       every attack, on this checkout
    python bench/attacks.py --checkout DIR NAME   one, on another one

Each is a function of a `Target` in ``attacks_*.py``, made one by ``@attack``. They are made on this
machine only, against a daemon that is started for each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import attacks_memory
import attacks_time
import servers
from attacker import ATTACKS, HEAD, run

CHECKOUT = Path(__file__).resolve().parents[1]

MODULES = (attacks_time, attacks_memory)
"""Where the attacks are; each adds its own when it is imported."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Attack a daemon, and see what others notice.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which attacks; all without one")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="whose helix is run")
    parser.add_argument("--seconds", type=float, default=10.0, help="for which each goes on")
    parser.add_argument("--option", action="append", default=[], help="for the daemon; repeatable")
    parser.add_argument("--list", action="store_true", help="only tell which there are")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - ATTACKS.keys():
        parser.error(f"there is no attack {', '.join(sorted(unknown))}")
    if given.list:
        for name, function in ATTACKS.items():
            print(f"{name}: {' '.join((function.__doc__ or '').split())}")
        return 0
    servers.stop_on_termination()
    print(HEAD)
    for name in given.names or ATTACKS:
        print(run(name, given.checkout.resolve(), given.seconds, given.option), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
