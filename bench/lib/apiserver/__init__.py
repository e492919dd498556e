# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API as large as one likes, as far as an agent asks it: lists in
pages, streams that begin with everything (WatchList), watches, bookmarks, 410.
A program of its own (python3 -m lib.apiserver), so that its work is not the
agent's; stand_in.py starts it and tells it what to do."""
