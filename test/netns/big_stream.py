#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One gigabyte each way through a tunnel, whole; and through the plaintext
path. Slow builds (sanitizers) move less."""
import time

from harness import await_that, main


def run(s):
    lab = s.trio()
    gigabyte = 1 << 30
    if s.sanitizer:
        gigabyte >>= 4
        s.note(f"a build with a sanitizer: {gigabyte >> 20} MB")
    sink = lab.server.app("stream", "sink", 80, ready="listening")
    for pod in (lab.client, lab.legacy):
        begin = time.monotonic()
        sender = pod.app("stream", "send", lab.vip4, 8000, gigabyte)
        sender.wait(400)
        seconds = time.monotonic() - begin
        sent = last(sender.output())
        await_that("the sink has it all",
                   lambda: "received " + sent in sink.output(), 60)
        s.check(f"{pod.full_name} to the server", sent.split()[0],
                str(gigabyte))
        s.note(f"{gigabyte / seconds / 1e6:.0f} MB/s")
    sink.kill()

    lab.server.app("stream", "source", 80, gigabyte, ready="listening")
    fetcher = lab.client.app("stream", "fetch", lab.vip6, 8000)
    fetcher.wait(400)
    s.check("from the server, IPv6", last(fetcher.output()).split()[0],
            str(gigabyte))


def last(output):
    """"BYTES SUM" of the last line."""
    lines = output.splitlines()
    return " ".join(lines[-1].split()[1:]) if lines else "nothing 0"


if __name__ == "__main__":
    main(run)
