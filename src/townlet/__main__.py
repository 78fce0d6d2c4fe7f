"""`python -m townlet`: the command line, where its script is not on the path."""

from townlet.cli import main

if __name__ == "__main__":
    main()
