"""`python -m crawler`, and the command `crawler`."""

from crawler.runtime import prepare

prepare()  # before anything else is imported: see runtime.py


def main() -> int:
    """Run the command line."""
    from crawler.cli import main as run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
