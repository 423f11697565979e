"""`python -m tests.coverage`."""

import sys

from tests.coverage.run import main

sys.exit(main())
