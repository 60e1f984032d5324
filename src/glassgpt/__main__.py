"""`python -m glassgpt` is `glassgpt`."""

from glassgpt.cli.main import main

if __name__ == "__main__":
    main()
