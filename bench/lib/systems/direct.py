# SPDX-License-Identifier: Apache-2.0
"""direct: no mesh at all."""
from lib.systems.base import System


class Direct(System):
    name = "direct"
    encrypts = False
