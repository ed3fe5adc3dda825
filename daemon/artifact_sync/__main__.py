"""`python -m artifact_sync` is the command `artifact-sync`."""

import sys

from artifact_sync.cli import main

if __name__ == "__main__":
    sys.exit(main())
