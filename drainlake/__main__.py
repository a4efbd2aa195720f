"""``python -m drainlake``: the same as the command ``drainlake``."""

from drainlake.cli import main

if __name__ == "__main__":
    main()
