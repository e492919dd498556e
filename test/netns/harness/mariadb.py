# SPDX-License-Identifier: Apache-2.0
"""A MariaDB server in a pod: the protocol in which the server speaks first."""
import os

from .process import Process, await_that

_OPTIONS = ["--no-defaults", "--user=root", "--skip-name-resolve",
            "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"]


class Mariadb:
    """Its data folder takes a few seconds to make: construct it early, then
    start it in a pod."""

    def __init__(self, cluster):
        self._folder = f"{cluster.folder}/mariadb"
        os.makedirs(self._folder)
        self._install = Process(
            # --force: the machine's own name need not resolve.
            ["mariadb-install-db", "--force", *_OPTIONS,
             f"--datadir={self._folder}/data", "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            f"{self._folder}/install.log")

    def start(self, pod):
        if self._install.wait(120) != 0:
            raise RuntimeError("mariadb-install-db: " + self._install.output())
        users = f"{self._folder}/users.sql"
        with open(users, "w", encoding="ascii") as file:
            file.write("CREATE USER demo@'%' IDENTIFIED BY 'demo';\n")
        server = pod.spawn(
            "mariadbd", *_OPTIONS, f"--datadir={self._folder}/data",
            "--port=3306", "--bind-address=*", f"--init-file={users}",
            f"--socket={self._folder}/socket",
            f"--pid-file={self._folder}/pid")
        await_that("MariaDB is ready", lambda: "ready for connections"
                   in server.output() or not server.running(), 120)
        if not server.running():
            raise RuntimeError("mariadbd: " + server.output())


def query(pod, host, statement="SELECT 6 * 7"):
    """What the client prints, or "exit 1" and the like."""
    done = pod.run(
        "mariadb", "--no-defaults", f"--host={host}", "--port=3306",
        "--user=demo", "--password=demo", "--connect-timeout=20",
        "--skip-column-names", "--batch", f"--execute={statement}",
        check=False)
    return done.stdout.strip() or f"exit {done.returncode}"
