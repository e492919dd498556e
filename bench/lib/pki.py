# SPDX-License-Identifier: Apache-2.0
"""SPIFFE certificates for the sidecars, of the shape that istiod signs, and
those of servers."""
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib.spiffe import spiffe_id


class Authority:
    """A root made for one run, in `folder`."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.root_file = folder / "root.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME,
                                                   "nodeward bench")])
        self._root = self._builder(self._name, self._key.public_key()) \
            .add_extension(x509.BasicConstraints(True, None), critical=True) \
            .add_extension(_key_usage(signs_certificates=True),
                           critical=True) \
            .sign(self._key, hashes.SHA256())
        self.root_file.write_bytes(_pem(self._root))

    def issue(self, namespace, account):
        """Returns (certificate file, key file, both in one file)."""
        return self._issue(account, x509.UniformResourceIdentifier(
            spiffe_id(namespace, account)))

    def issue_server(self, address):
        """The same for a server at that IP address."""
        return self._issue(address, x509.IPAddress(
            ipaddress.ip_address(address)))

    def _issue(self, name, subject):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._builder(x509.Name([]), key.public_key()) \
            .add_extension(x509.SubjectAlternativeName([subject]),
                           critical=True) \
            .add_extension(x509.BasicConstraints(False, None),
                           critical=True) \
            .add_extension(_key_usage(signs_certificates=False),
                           critical=True) \
            .add_extension(x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH,
                 ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False) \
            .sign(self._key, hashes.SHA256())
        secret = key.private_bytes(serialization.Encoding.PEM,
                                   serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())
        stem = self.folder / name
        contents = ((".pem", _pem(leaf)), (".key", secret),
                    (".both", _pem(leaf) + secret))
        files = []
        for suffix, content in contents:
            file = stem.with_name(stem.name + suffix)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                                 0o600)
            with open(descriptor, "wb") as out:
                out.write(content)
            files.append(file)
        return tuple(files)

    def _builder(self, subject, public_key):
        now = datetime.datetime.utcnow()
        return x509.CertificateBuilder() \
            .subject_name(subject).issuer_name(self._name) \
            .public_key(public_key) \
            .serial_number(x509.random_serial_number()) \
            .not_valid_before(now - datetime.timedelta(minutes=2)) \
            .not_valid_after(now + datetime.timedelta(days=1))


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_usage(signs_certificates):
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False)
