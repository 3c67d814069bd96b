"""The command `holdfast`, and `python -m ops`: what is not installed is said in a sentence."""

import sys


def main() -> None:
    """Run the command line; it needs what `pip install '.[server]'` brings."""
    try:
        from ops.cli import main as run  # noqa: PLC0415 (it needs libraries of the server extra)
    except KeyboardInterrupt:  # while it was loaded
        sys.exit(130)
    except ModuleNotFoundError as error:
        sys.exit(f"holdfast: {error.name} is not installed: pip install 'holdfast[server]'")
    run()


if __name__ == "__main__":
    main()
