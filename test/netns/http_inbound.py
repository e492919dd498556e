#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP on the way in: httpbin under gunicorn, asked with curl and with raw
sockets, in the mesh and from outside it. Who the client is reaches the
application, what policy denies does not, and nothing gets past by its form."""
import re
import socket

from harness import await_that, main, policy
from harness.web import answer, ask

URL = "http://httpbin.mtls-test:8000/headers"
DENIED = "RBAC: access denied"
RAW = 8082  # declared HTTP, where a socket of ours listens


def stage(s):
    lab = s.cluster(dns=True)
    for name in ("mtls-test", "full"):
        lab.namespace(name, mesh="enabled")
    lab.namespace("legacy")
    lab.httpbin = lab.pod("mtls-test/httpbin", "node-b",
                          ports={"http": 80, "http-raw": RAW, "tcp": 83})
    for name in ("mtls-test", "full", "legacy"):
        lab.pod(f"{name}/sleep", "node-a")
    lab.service("mtls-test/httpbin", {"http": (8000, 80)})
    lab.start_agents()
    sleeps = [pod for pod in lab.pods.values() if pod.name == "sleep"]
    lab.sleep = {pod.namespace: pod for pod in sleeps}
    lab.await_enrolled(lab.httpbin, lab.sleep["full"], lab.sleep["mtls-test"])
    lab.httpbin.spawn("gunicorn", "--bind=[::]:80", "--workers=1",
                      "--threads=8", "--worker-tmp-dir=/dev/shm",
                      "--keep-alive=60", "httpbin:app")
    await_that("httpbin answers", lambda: lab.sleep["full"].curl(URL).code
               == 200, 60)
    return lab


def seen(lab, namespace, *options, url=URL):
    """What the documents' pipeline prints."""
    done = lab.sleep[namespace].run(
        "sh", "-c", 'curl "$@" -s -w "response code: %{http_code}\n" '
        "| egrep -o 'URI\\=spiffe.*sa/[a-z]*|response.*$'", "sh", url,
        "--max-time", "15", *options, check=False)
    return done.stdout.splitlines()


def uri(namespace):
    return f"URI=spiffe://cluster.local/ns/{namespace}/sa/sleep"


def authorization(action, source=None, operation=None, name="policy"):
    rule = {}
    if source:
        rule["from"] = [{"source": source}]
    if operation:
        rule["to"] = [{"operation": operation}]
    return {"apiVersion": "security.istio.io/v1beta1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": "mtls-test"},
            "spec": {"selector": {"matchLabels": {"app": "httpbin"}},
                     "action": action, "rules": [rule]}}


def who_asks(s, lab):
    """Rows 1.07 to 1.24 of the Istio document."""
    for name in ("mtls-test", "full"):
        s.check(f"PERMISSIVE, sleep.{name}", seen(lab, name),
                [uri(name), "response code: 200"])
    s.check("PERMISSIVE, sleep.legacy", seen(lab, "legacy"),
            ["response code: 200"])
    lab.apply("strict.yaml", policy("mtls-test", "STRICT", name="httpbin",
                                    selector={"app": "httpbin"}))
    await_that("STRICT", lambda: seen(lab, "legacy")
               == ["response code: 000"])
    s.check("STRICT, sleep.legacy",
            str(lab.sleep["legacy"].curl(URL)), "000, exit 56")
    for name in ("mtls-test", "full"):
        s.check(f"STRICT, sleep.{name}", seen(lab, name),
                [uri(name), "response code: 200"])
    lab.apply("authz.yaml", authorization(
        "DENY", {"principals": ["cluster.local/ns/full/sa/sleep"]},
        {"methods": ["GET"]}, "httpbin.mtls-test.svc.cluster.local"))
    await_that("DENY", lambda: seen(lab, "full") == ["response code: 403"])
    reply = lab.sleep["full"].curl(URL, "-D", "-")
    s.check("DENY, sleep.full", (str(reply), reply.body.endswith(DENIED)),
            ("403, exit 0", True))
    s.that("as text", "content-type: text/plain" in reply.body)
    s.check("DENY of GET, sleep.full, POST", str(lab.sleep["full"].curl(
        URL.replace("headers", "post"), "-d", "x=1")), "200, exit 0")
    s.check("DENY, sleep.mtls-test", seen(lab, "mtls-test"),
            [uri("mtls-test"), "response code: 200"])
    s.check("DENY, sleep.legacy",
            str(lab.sleep["legacy"].curl(URL)), "000, exit 56")
    metrics = await_that("the denials are counted", lambda: [
        value for key, value in lab.httpbin.node.agent.metrics().items()
        if "nodeward_http_requests_refused_total" in key
        and "denied_request" in key])
    s.that("metrics count them", sum(metrics) >= 2)
    s.that("the access log names the request", await_that(
        "it is logged", lambda: "GET /headers: denied by DENY"
        in lab.httpbin.node.agent.log()))
    lab.remove("strict.yaml")
    lab.remove("authz.yaml")
    await_that("all is open", lambda: seen(lab, "legacy")
               == seen(lab, "full")[1:] == ["response code: 200"])


def forged(s, lab):
    for name in ("X-Forwarded-Client-Cert", "X_Forwarded_Client_Cert"):
        header = ("-H", f"{name}: By=x;URI=spiffe://cluster.local/ns/a/sa/b")
        s.check(f"{name} of sleep.full", seen(lab, "full", *header),
                [uri("full"), "response code: 200"])
        s.check(f"{name} of sleep.legacy", seen(lab, "legacy", *header),
                ["response code: 200"])
    reply = lab.sleep["full"].curl(URL)
    s.that("the whole value", re.search(
        'By=spiffe://cluster.local/ns/mtls-test/sa/httpbin;'
        r'Hash=[0-9a-f]{64};Subject=\\"\\";'
        'URI=spiffe://cluster.local/ns/full/sa/sleep"', reply.body))


def bodies(s, lab):
    url = URL.replace("headers", "")
    curl = lab.sleep["full"].curl
    megabytes = "x" * 3_000_000
    for what, options in (
            ("with a length", ()),
            ("chunked", ("-H", "Transfer-Encoding: chunked")),
            ("after 100", ("-H", "Expect: 100-continue"))):
        reply = lab.sleep["full"].run(
            "curl", "-s", "--data-binary", "@-", *options, "-H",
            "Content-Type: text/plain", url + "post", stdin=megabytes,
            check=False)
        s.that(f"an upload of 3 MB, {what}", megabytes in reply.stdout)
    for what in ("stream-bytes/100000?chunk_size=1000", "bytes/100000"):
        done = lab.sleep["full"].run("sh", "-c", 'curl -s "$0" | wc -c',
                                     url + what)
        s.check(f"an answer of 100 000 bytes, {what.partition('/')[0]}",
                done.stdout.strip(), "100000")
    s.check("HEAD", str(curl(url + "get", "--head")), "200, exit 0")
    s.check("HTTP/1.0", str(curl(url + "get", "--http1.0")), "200, exit 0")
    s.check("no content", str(curl(url + "status/204")), "204, exit 0")
    two = curl(url + "get", url + "ip")
    s.check("two on one connection", str(two), "200, exit 0")


def one_connection(s, lab):
    """Each request is asked about anew, on a connection that stays."""
    address = lab.httpbin.ip4
    kept = lab.sleep["full"].connect(address, 80)
    request = b"GET /ip HTTP/1.1\r\nHost: x\r\n\r\n"
    s.check("before", ask(kept, request)[0], 200)
    lab.apply("authz.yaml", authorization(
        "DENY", operation={"paths": ["/ip"]}))
    await_that("the policy holds", lambda: lab.sleep["mtls-test"].curl(
        URL.replace("headers", "ip")).code == 403)
    s.check("denied now", ask(kept, request), (403, DENIED))
    s.check("not what is allowed", ask(
        kept, b"GET /uuid HTTP/1.1\r\nHost: x\r\n\r\n")[0], 200)
    s.check("also in another spelling", ask(
        kept, b"GET /x/../%69p HTTP/1.1\r\nHost: x\r\n\r\n"), (403, DENIED))
    kept.sendall(request + request.replace(b"/ip", b"/uuid"))
    s.check("pipelined, the first", answer(kept), (403, DENIED))
    s.check("and the second", answer(kept)[0], 200)
    lab.remove("authz.yaml")
    await_that("the policy is gone", lambda: lab.sleep["mtls-test"].curl(
        URL.replace("headers", "ip")).code == 200)
    s.check("after", ask(kept, request)[0], 200)
    kept.close()


SMUGGLED = (
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    b"Content-Length: +4\r\n\r\nabcd",
    b"Transfer-Encoding: xchunked\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\n\r\n0\r\n\r\n",
    b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"X: y\x00\r\n\r\n",
    b"X: " + b"y" * 70_000 + b"\r\n\r\n",
    b"X: y\r\n" * 200 + b"\r\n",
    b"Host: two\r\n\r\n",
)


def smuggling(s, lab):
    """Nothing of these reaches the application, and the connection ends."""
    listener = lab.httpbin.listen(RAW)
    listener.settimeout(30)
    for who in ("full", "legacy"):
        for form in SMUGGLED:
            client = lab.sleep[who].connect(lab.httpbin.ip4, RAW)
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + form
                           + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            got = everything(client)
            application, _ = listener.accept()
            reached = everything(application)
            s.check(f"{who}: {form[:40]!r}", (got[:12], reached),
                    (b"HTTP/1.1 400", b""))
    # A body that turns bad on its way: the application sees a reset.
    client = lab.sleep["full"].connect(lab.httpbin.ip4, RAW)
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                   b"\r\n\r\n5\r\nhello\r\n")
    application, _ = listener.accept()
    application.settimeout(30)
    reached = application.recv(65536)
    while b"hello" not in reached:
        reached += application.recv(65536)
    client.sendall(b"5\nhello\r\n0\r\n\r\n")
    s.check("a bad chunk", everything(client)[:12], b"HTTP/1.1 400")
    try:
        rest = everything(application, quiet=False)
    except ConnectionResetError:
        rest = "reset"
    s.that("resets the application", rest == "reset")
    not_http(s, lab, listener)
    websocket(s, lab, listener)
    listener.close()


def not_http(s, lab, listener):
    for who in ("full", "legacy"):
        client = lab.sleep[who].connect(lab.httpbin.ip4, RAW)
        client.sendall(b"\x00\x01\x02 no HTTP")
        s.check(f"{who}: what is no HTTP is closed", everything(client), b"")
        application, _ = listener.accept()
        s.check("and not passed", everything(application), b"")


def websocket(s, lab, listener):
    head = (b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\n\r\n")
    switch = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
              b"Upgrade: websocket\r\n\r\n")
    client = lab.sleep["full"].connect(lab.httpbin.ip4, RAW)
    client.sendall(head)
    application, _ = listener.accept()
    application.settimeout(30)
    s.that("WebSocket is asked for with the client's name", b"URI=spiffe://"
           in until(application, b"\r\n\r\n"))
    application.sendall(switch + b"\x81\x02hi")
    s.check("its answer and a frame", until(client, b"hi"),
            switch + b"\x81\x02hi")
    client.sendall(b"\x82\x03any")
    s.check("and one back", until(application, b"any"), b"\x82\x03any")
    lab.apply("authz.yaml", authorization(
        "DENY", operation={"paths": ["/chat"]}))
    try:
        ended = everything(client, quiet=False)
    except ConnectionResetError:
        ended = "reset"
    s.check("a policy that forbids it ends it", ended, "reset")
    for form in (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
                 head.replace(b"websocket", b"other").replace(b"chat", b"x")):
        client = lab.sleep["full"].connect(lab.httpbin.ip4, RAW)
        client.sendall(form)
        s.check(f"{form[:20]!r} where a policy asks for HTTP",
                until(client, DENIED.encode())[:12], b"HTTP/1.1 403")
        client.close()
    lab.remove("authz.yaml")
    application.close()


def everything(connection, quiet=True):
    """What comes until the end."""
    connection.settimeout(30)
    data = b""
    try:
        while more := connection.recv(65536):
            data += more
        connection.close()
    except ConnectionResetError:
        if not quiet:
            raise
    return data


def until(connection, end):
    data = b""
    while not data.endswith(end):
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


def other_ports(s, lab):
    """Bytes stay bytes where nobody declared HTTP and no policy asks for it;
    where one does, an undeclared port is HTTP and a declared one is not."""
    listeners = {port: lab.httpbin.listen(port) for port in (83, 84)}

    def passes(port):
        client = lab.sleep["full"].connect(lab.httpbin.ip4, port)
        client.settimeout(30)
        listeners[port].settimeout(2)
        try:
            client.sendall(b"\x00 no HTTP\n")
            application, _ = listeners[port].accept()
            return application.recv(100) == b"\x00 no HTTP\n"
        except (ConnectionResetError, socket.timeout):
            return False
        finally:
            client.close()

    await_that("the last policy is gone", lambda: passes(83))
    s.check("bytes pass, declared and not", (passes(83), passes(84)),
            (True, True))
    lab.apply("authz.yaml", authorization(
        "ALLOW", operation={"methods": ["GET"]}))
    await_that("the policy holds", lambda: lab.sleep["full"].curl(
        URL.replace("headers", "post"), "-d", "x").code == 403)
    s.check("and do not where a policy asks for HTTP",
            (passes(83), passes(84)), (False, False))
    lab.remove("authz.yaml")
    for listener in listeners.values():
        listener.close()


def run(s):
    lab = stage(s)
    who_asks(s, lab)
    forged(s, lab)
    bodies(s, lab)
    one_connection(s, lab)
    smuggling(s, lab)
    other_ports(s, lab)


if __name__ == "__main__":
    main(run)
