"""`python -m intentstore`: the same command as `intent`."""

from intentstore.cli import main

raise SystemExit(main())
