# SPDX-License-Identifier: Apache-2.0
"""The harness behind bench/run and bench/compare."""
