# SPDX-License-Identifier: Apache-2.0
"""Workload identities."""

TRUST_DOMAIN = "cluster.local"


def spiffe_id(namespace, account):
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
