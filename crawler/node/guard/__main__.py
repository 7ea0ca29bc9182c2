"""Starts the process of a guard, by the path of this file: python -I -S __main__.py.

It needs nothing but the standard library. So it starts without site-packages, and adds the folder
of this program behind all others.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.abspath(os.path.join(__file__, *[os.pardir] * 4)))
    from crawler.node.guard.process import main

    main()
