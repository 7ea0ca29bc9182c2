"""`python -m crawler`, and the command `crawler`."""

from crawler.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
