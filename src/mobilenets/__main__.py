"""`python -m mobilenets` is the command line."""

from mobilenets.cli.main import main

raise SystemExit(main())
