"""Prints which of its secrets arrived, by name and length, never by value.

    cryokey run --dev -- python3 examples/dev/app.py
"""

import os
import sys

REQUIRED = ("SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY")


def main() -> int:
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    for name in REQUIRED:
        length = len(os.environb.get(name.encode(), b""))
        print(f"{name:<13} {f'arrived, {length} bytes' if length else 'did not arrive'}")
    if missing:
        print("run this with: cryokey run --dev -- python3 examples/dev/app.py", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
