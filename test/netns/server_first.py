#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MariaDB, whose server speaks first, for clients inside and outside the mesh
under both modes."""
from harness import await_that, main, policy
from harness.mariadb import Mariadb, query

def run(s):
    lab = s.trio(start=False, service=(3306, 3306))
    # A name that tells the protocol, and one that does not.
    named = lab.service("mesh/named", {"mysql": (3306, 3306)},
                        {"app": "server"})[0]
    Mariadb(lab).start(lab.server)
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    for address, name in ((lab.vip4, "port named tcp"),
                          (named, "port named mysql"),
                          (lab.server.ip6, "pod IP, v6")):
        for pod in (lab.client, lab.legacy):
            s.check(f"PERMISSIVE, {name}, {pod.namespace}",
                    query(pod, address), "42")
    rows = query(lab.client, lab.vip4, """
        SET max_recursive_iterations = 20000;
        WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t
                                WHERE n < 20000)
        SELECT n, REPEAT('x', 1000) FROM t""")
    s.check("20 000 rows through the mesh", len(rows.splitlines()), 20000)

    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    await_that("STRICT closes MariaDB to legacy",
               lambda: query(lab.legacy, lab.server.ip4) == "exit 1")
    s.check("STRICT, legacy", query(lab.legacy, named), "exit 1")
    s.check("STRICT, mesh", query(lab.client, named), "42")


if __name__ == "__main__":
    main(run)
