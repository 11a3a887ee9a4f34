"""``python -m costlab``."""

from costlab.cli import main

if __name__ == "__main__":
    main()
