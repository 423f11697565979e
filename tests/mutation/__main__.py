"""`python -m tests.mutation`."""

import sys

from tests.mutation.run import main

sys.exit(main())
