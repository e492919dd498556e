#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MariaDB, whose server speaks first, for clients inside and outside the mesh
under both modes."""
import os

from harness import Process, await_that, main, policy

OPTIONS = ["--no-defaults", "--user=root", "--innodb-buffer-pool-size=16M",
           "--innodb-log-file-size=8M", "--skip-name-resolve"]


def start_mariadb(lab):
    data = f"{lab.folder}/mariadb"
    os.makedirs(data)
    install = Process(
        ["mariadb-install-db", *OPTIONS, f"--datadir={data}/data",
         "--auth-root-authentication-method=normal", "--skip-test-db"],
        f"{data}/install.log")
    if install.wait(120) != 0:
        raise RuntimeError(install.output())
    with open(f"{data}/users.sql", "w", encoding="ascii") as file:
        file.write("CREATE USER demo@'%' IDENTIFIED BY 'demo';\n")
    server = lab.server.spawn(
        "mariadbd", *OPTIONS, f"--datadir={data}/data", "--port=3306",
        "--bind-address=*", f"--socket={data}/socket",
        f"--pid-file={data}/pid", f"--init-file={data}/users.sql")
    await_that("MariaDB is ready",
               lambda: "ready for connections" in server.output(), 120)


def query(pod, address, statement="SELECT 6 * 7"):
    done = pod.run(
        "mariadb", "--no-defaults", f"--host={address}", "--port=3306",
        "--user=demo", "--password=demo", "--connect-timeout=20",
        "--skip-column-names", "--batch", f"--execute={statement}",
        check=False)
    return done.stdout.strip() or f"exit {done.returncode}"


def run(s):
    lab = s.trio(start=False, service=(3306, 3306))
    # A name that tells the protocol, and one that does not.
    named = lab.service("mesh/named", {"mysql": (3306, 3306)},
                        {"app": "server"})[0]
    start_mariadb(lab)
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
