#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""STRICT dropped in while connections are open: the plaintext ones are closed,
whatever they are doing, the others go on; taken away, all is as before."""
from harness import await_that, main, policy


def run(s):
    lab = s.trio()
    listener = lab.server.listen(80)

    def opened(client, address, port):
        one = client.connect(address, port)
        one.sendall(b"hello")
        other, _ = listener.accept()
        other.settimeout(30)
        assert other.recv(5) == b"hello"
        return one, other

    mesh, mesh_app = opened(lab.client, lab.vip4, 8000)
    plain, plain_app = opened(lab.legacy, lab.vip4, 8000)
    direct, direct_app = opened(lab.legacy, lab.server.ip4, 80)

    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    for name, client, app in (("by Service", plain, plain_app),
                              ("by pod IP", direct, direct_app)):
        s.check(f"open plaintext connection {name}, client's end",
                ending(client), "reset")
        s.check(f"open plaintext connection {name}, application's end",
                ending(app), "reset")
    mesh.sendall(b"still")
    s.check("the tunnelled connection goes on", mesh_app.recv(5), b"still")
    mesh_app.sendall(b"there")
    s.check("in both directions", mesh.recv(5), b"there")

    # Refused before the application sees anything.
    one = lab.legacy.connect(lab.server.ip4, 80)
    one.sendall(b"hello")
    s.check("a new plaintext connection", ending(one), "reset")
    listener.settimeout(0.2)
    try:
        listener.accept()
        s.that("the application saw nothing of it", False)
    except TimeoutError:
        s.that("the application saw nothing of it", True)
    listener.settimeout(30)

    # A client that says nothing is not kept for ever.
    silent = lab.legacy.connect(lab.server.ip4, 80)
    s.check("a silent client under STRICT", ending(silent), "reset")

    lab.remove("policy.yaml")

    listener.settimeout(0.5)

    def let_in():
        try:
            one, other = opened(lab.legacy, lab.server.ip4, 80)
        except OSError:
            return False
        one.close()
        other.close()
        return True
    s.that("policy taken away: let in again",
           await_that("plaintext is let in", let_in))
    mesh.sendall(b"still")
    s.check("the tunnelled connection still goes on", mesh_app.recv(5),
            b"still")
    s.check("edge of mesh/client", await_that(
        "the edge", lambda: lab.server.node.agent.edge(
            lab.client, lab.server)), "√")
    for each in (mesh, mesh_app, listener):
        each.close()


def ending(connection):
    """How a connection ended: "reset", "end of stream", or what it said."""
    try:
        data = connection.recv(100)
        return "end of stream" if not data else data
    except ConnectionResetError:
        return "reset"
    finally:
        connection.close()


if __name__ == "__main__":
    main(run)
