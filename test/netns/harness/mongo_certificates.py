# SPDX-License-Identifier: Apache-2.0
"""Certificates as people make them by hand for a database: a CA, and X.509 v1
leaves without names that outlive it; key and certificate in one file."""
from .process import run

_COMMANDS = """
openssl req -out ca.pem -new -x509 -days 3650 -passout pass:secret \
  -subj /C=CN/CN=root/emailAddress=11111@qq.com
openssl genrsa -out server.key 2048
openssl req -key server.key -new -out server.req \
  -subj /C=CN/CN=mongo/emailAddress=11111@qq.com
openssl x509 -req -in server.req -CAkey privkey.pem -passin pass:secret \
  -CA ca.pem -days 36500 -CAcreateserial -CAserial serial -out server.crt
cat server.key server.crt > server.pem
openssl verify -CAfile ca.pem server.pem
openssl genrsa -out client.key 2048
openssl req -key client.key -new -out client.req \
  -subj /C=CN/CN=client/emailAddress=11111@qq.com
openssl x509 -req -in client.req -CAkey privkey.pem -passin pass:secret \
  -CA ca.pem -days 36500 -CAserial serial -out client.crt
cat client.key client.crt > client.pem
openssl verify -CAfile ca.pem client.pem
"""


class MongoCertificates:
    """Files in `folder`, by the openssl program."""

    def __init__(self, folder):
        self.folder = folder
        run("sh", "-e", "-c", f"mkdir -p {folder}; cd {folder}; {_COMMANDS}")

    def path(self, name):
        return f"{self.folder}/{name}"

    def read(self, name):
        with open(self.path(name), encoding="ascii") as file:
            return file.read()
