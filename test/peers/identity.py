# SPDX-License-Identifier: Apache-2.0
"""Certificates for independent peers, by the openssl program."""
import dataclasses
import os
import subprocess


@dataclasses.dataclass
class Identity:
    """Files: a certificate, its key, the roots to check peers against."""
    certificate: str
    key: str
    roots: str


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def issue(ca, folder, spiffe, name="peer", days=1,
          usage="clientAuth,serverAuth"):
    """A leaf for `spiffe`, signed by the CA in folder `ca`."""
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/{name}"
    _openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{path}.key",
             "-subj", "/", "-out", f"{path}.csr")
    with open(f"{path}.ext", "w", encoding="ascii") as file:
        file.write("basicConstraints=critical,CA:FALSE\n"
                   "keyUsage=critical,digitalSignature\n"
                   f"extendedKeyUsage={usage}\n"
                   f"subjectAltName=critical,URI:{spiffe}\n")
    _openssl("x509", "-req", "-in", f"{path}.csr", "-CA", f"{ca}/ca.crt",
             "-CAkey", f"{ca}/ca.key", "-days", str(days),
             "-set_serial", "0x" + os.urandom(8).hex(), "-extfile", f"{path}.ext",
             "-out", f"{path}.crt")
    return Identity(f"{path}.crt", f"{path}.key", f"{ca}/ca.crt")


def other_ca(folder):
    """A CA that nobody trusts, in `folder`."""
    os.makedirs(folder, exist_ok=True)
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/O=cluster.local", "-keyout", f"{folder}/ca.key",
             "-out", f"{folder}/ca.crt")
    return folder


def revocation_list(ca, folder, *revoked, key=None):
    """PEM of a list, good for a day, by the CA in folder `ca`."""
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/index", "w", encoding="ascii"):
        pass
    with open(f"{folder}/config", "w", encoding="ascii") as file:
        file.write("[ca]\ndefault_ca=us\n[us]\ndefault_md=sha256\n"
                   f"database={folder}/index\ndefault_crl_days=1\n"
                   "unique_subject=no\n")
    common = ("ca", "-config", f"{folder}/config", "-cert", f"{ca}/ca.crt",
              "-keyfile", key or f"{ca}/ca.key")
    for path in revoked:
        _openssl(*common, "-revoke", path)
    _openssl(*common, "-gencrl", "-out", f"{folder}/list.pem")
    with open(f"{folder}/list.pem", encoding="ascii") as file:
        return file.read()
