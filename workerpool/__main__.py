"""`python -m workerpool`: the command `workerpool`."""

from workerpool_cli import main

if __name__ == "__main__":
    main()
