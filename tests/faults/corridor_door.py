"""The front door with the corridor behind it, for runs in a process of their own."""

from corridor import CorridorProvider

from townlet import ports

ports.provider = lambda *_: CorridorProvider()

if __name__ == "__main__":
    from townlet.cli import main

    main()
