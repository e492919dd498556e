// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/json.h"
#include "kube/api_fixture.h"

namespace nodeward::kube {

// An API server that keeps objects: it makes, replaces (by version), applies,
// deletes (by UID) and watches them. The file "<folder>/refuse" says which
// methods it refuses, and how: {"PATCH": 403}.
constexpr char kKubernetes[] = R"(
import http.server, json, os, ssl, sys, threading, urllib.parse
folder = sys.argv[1]
changed = threading.Condition()
objects, changes = {}, []
def within(collection, path):
    head, _, plural = collection.rpartition("/")
    parent = path.rpartition("/")[0]
    return parent == collection or (parent.startswith(head + "/namespaces/")
                                    and parent.endswith("/" + plural))
def store(path, made):
    parts = path.split("/")
    at = parts.index("namespaces") + 1
    if at < len(parts) - 1:
        made["metadata"]["namespace"] = parts[at]
    made["metadata"].update(name=parts[-1],
                            resourceVersion=str(len(changes) + 1))
    made["metadata"].setdefault("uid", "uid-%d" % len(changes))
    changes.append(("MODIFIED" if path in objects else "ADDED", path,
                    json.dumps(made)))
    objects[path] = changes[-1][2]
    changed.notify_all()
def merged(old, new):
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            merged(old[key], value)
        elif value is None:
            old.pop(key, None)
        else:
            old[key] = value
    return old
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def reply(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def answer(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        with changed, open(folder + "/requests", "a") as file:
            file.write(" ".join([self.command, self.path, body.decode()])
                       + "\n")
        try:
            with open(folder + "/refuse") as file:
                refused = json.load(file).get(self.command)
        except FileNotFoundError:
            refused = None
        if refused:
            return self.reply(refused, '{"message":"refused"}')
        if "watch" in query:
            return self.watch(path, query)
        with changed:
            status, text = self.act(path, query, json.loads(body or "{}"))
        self.reply(status, text)
    def act(self, path, query, body):
        known = json.loads(objects.get(path, "null"))
        meta = body.get("metadata", {})
        if self.command == "POST":
            path += "/" + meta["name"]
            if path in objects:
                return 409, '{"message":"exists"}'
            store(path, body)
            return 201, objects[path]
        if known is None and (self.command != "PATCH"
                              or "fieldManager" not in query):
            return 404, '{"message":"not found"}'
        if self.command == "GET":
            return 200, objects[path]
        if self.command == "PUT":
            if (meta.get("resourceVersion")
                    != known["metadata"]["resourceVersion"]):
                return 409, '{"message":"conflict"}'
            store(path, body)
        elif self.command == "PATCH":
            if known and "fieldManager" in query and "force" not in query:
                return 409, '{"message":"conflict"}'
            store(path, merged(known or {}, body))
        else:
            if (body.get("preconditions", known["metadata"])["uid"]
                    != known["metadata"]["uid"]):
                return 409, '{"message":"conflict"}'
            del objects[path]
            changes.append(("DELETED", path, json.dumps(known)))
            changed.notify_all()
            return 200, "{}"
        return 200, objects[path]
    def watch(self, path, query):
        name = query.get("fieldSelector", "").partition("metadata.name=")[2]
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        def tell(kind, at, text):
            if within(path, at) and (not name or at.endswith("/" + name)):
                self.wfile.write(('{"type":"%s","object":%s}\n'
                                  % (kind, text)).encode())
        with changed:
            seen, initial = len(changes), dict(objects)
        if "sendInitialEvents" in query:
            for at, text in initial.items():
                tell("ADDED", at, text)
            self.wfile.write(('{"type":"BOOKMARK","object":{"metadata":{'
                '"resourceVersion":"%d","annotations":{'
                '"k8s.io/initial-events-end":"true"}}}}\n' % seen).encode())
        else:
            seen = int(query["resourceVersion"])
        while True:
            self.wfile.flush()
            with changed:
                while len(changes) == seen:
                    changed.wait()
                news, seen = changes[seen:], len(changes)
            for change in news:
                tell(*change)
    do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True,
                                    do_handshake_on_connect=False)
with open(folder + "/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(folder + "/port.new", folder + "/port")
server.serve_forever()
)";

class KubernetesTest : public ApiTest {
 protected:
  KubernetesTest() { script_ = kKubernetes; }

  // As somebody with kubectl.
  int Do(const std::string& method, const std::string& path,
         const std::string& body = "") {
    return Ask({.method = method, .target = path, .body = body}).status;
  }
  // Null: it is not there.
  base::Json Get(const std::string& path) {
    const HttpClient::Answer answer = Ask({.target = path});
    return answer.status == 200 ? *base::ParseJson(answer.body) : base::Json();
  }
  // {"PATCH": 403}; empty: nothing more.
  void Refuse(const std::string& methods) {
    pki::Spill(folder_ / "refuse.new", methods.empty() ? "{}" : methods);
    rename((folder_ / "refuse.new").c_str(), (folder_ / "refuse").c_str());
  }
  size_t Asked(const std::string& what) {
    const std::string all = Requests();
    size_t count = 0;
    for (size_t at = all.find(what); at != std::string::npos;
         at = all.find(what, at + 1)) {
      ++count;
    }
    return count;
  }
};

}  // namespace nodeward::kube
