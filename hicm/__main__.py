"""``python -m hicm`` is ``hicm``."""

import sys

from hicm.cli import main

sys.exit(main())
