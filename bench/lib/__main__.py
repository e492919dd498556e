# SPDX-License-Identifier: Apache-2.0
"""bench/run, once the tools are there."""
import os
import sys

from lib.options import choose, parse


def main(words):
    parser, options = parse(words)
    scenarios, systems = choose(parser, options)
    # Not before: --help is for machines that have no matplotlib yet.
    from lib.session import measure
    return measure(options, " ".join(["bench/run", *words]), scenarios,
                   systems)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
