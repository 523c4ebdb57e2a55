"""``python -m diffir``."""

import sys

from diffir.cli.main import main

sys.exit(main())
