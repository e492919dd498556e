#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A pod that speaks to itself: by loopback, its own IP, its own Service, and
through its own Service to a second pod."""
from harness import await_that, main, policy


def run(s):
    lab = s.trio()
    lab.server.serve_web(80)
    client = lab.server
    for mode in (None, "STRICT"):
        if mode:
            lab.apply("policy.yaml", policy("mesh", mode))
            await_that("STRICT holds", lambda: lab.legacy.curl(
                f"http://{lab.server.ip4}/").code == 0)
        for name, url in (("127.0.0.1", "http://127.0.0.1/"),
                          ("::1", "http://[::1]/"),
                          ("own IP, v4", f"http://{client.ip4}/"),
                          ("own IP, v6", f"http://[{client.ip6}]/"),
                          ("own Service, v4", f"http://{lab.vip4}:8000/"),
                          ("own Service, v6", f"http://[{lab.vip6}]:8000/")):
            reply = client.curl(url)
            s.check(f"{mode or 'no policy'}: {name}", str(reply),
                    "200, exit 0")
            if "own" in name:
                own = client.ip4 if "v4" in name else client.ip6
                s.check(f"{mode or 'no policy'}: {name}: seen as",
                        reply.body.strip(), own)
    # With a second endpoint, a neighbour on the same node.
    lab.remove("policy.yaml")
    other = lab.pod("mesh/second", "node-b", labels={"app": "server"})
    other.serve_web(80)
    lab.await_enrolled(other)
    s.check("20 times the Service with two endpoints, one's own among them",
            {str(client.curl(f"http://{lab.vip4}:8000/"))
             for _ in range(20)}, {"200, exit 0"})


if __name__ == "__main__":
    main(run)
