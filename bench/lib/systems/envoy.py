# SPDX-License-Identifier: Apache-2.0
"""Envoy sidecars, configured as istiod would: as bytes (tcp_proxy) and with
the HTTP connection manager and XFCC."""
import json

from lib.spiffe import TRUST_DOMAIN, spiffe_id
from lib.systems.sidecar import (INBOUND_PORT, NAMESPACE, ONWARD_SOURCE,
                                 OUTBOUND_PORT, Sidecar)
from lib.tools import HTTP_AWARE_PORT, HTTP_PORT, PORTS

WORKERS = 2
_TYPE = "type.googleapis.com/envoy.extensions"


class Envoy(Sidecar):
    name = "envoy"
    http_ports = ()

    def command(self, folder, side, peer):
        config = folder / "envoy.json"
        config.write_text(json.dumps(self._config(side, peer), indent=1))
        return [self.bench.envoy, "-c", config, "--concurrency", WORKERS,
                "--disable-hot-restart", "-l", "warning"]

    def _config(self, side, peer):
        certificate, key, _ = self._certificates[side]
        tls = {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3",
                           "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{
                "certificate_chain": {"filename": str(certificate)},
                "private_key": {"filename": str(key)}}],
            "alpn_protocols": ["istio"]}
        clusters = [self._app_cluster(), _passthrough_cluster()]
        chains = []
        if peer:
            for port in PORTS:
                clusters.append(self._mesh_cluster(tls, peer, port))
                chains.append({
                    "filter_chain_match": {
                        "destination_port": port,
                        "prefix_ranges": [{"address_prefix": peer.ip,
                                           "prefix_len": 32}]},
                    "filters": [self._forward(port, f"mesh-{port}")]})
        outbound = _listener("outbound", OUTBOUND_PORT)
        outbound["filter_chains"] = chains
        outbound["default_filter_chain"] = {
            "filters": [_tcp_proxy("passthrough")]}
        return {"static_resources": {
            "listeners": [outbound, self._inbound(tls)],
            "clusters": clusters}}

    def _inbound(self, tls):
        tls_socket = {
            "name": "tls",
            "typed_config": {
                "@type": f"{_TYPE}.transport_sockets.tls.v3."
                         "DownstreamTlsContext",
                "require_client_certificate": True,
                "common_tls_context": dict(
                    tls, validation_context=self._trust(
                        {"prefix": f"spiffe://{TRUST_DOMAIN}/"}))}}
        listener = _listener("inbound", INBOUND_PORT)
        listener["filter_chains"] = [
            {"filter_chain_match": {"destination_port": port},
             "transport_socket": tls_socket,
             "filters": [self._forward(port, "app", inbound=True)]}
            for port in PORTS]
        return listener

    def _forward(self, port, cluster, inbound=False):
        """The filter for one port: bytes, or HTTP where that is asked for."""
        if port not in self.http_ports:
            return _tcp_proxy(cluster)
        manager = {
            "@type": f"{_TYPE}.filters.network.http_connection_manager.v3."
                     "HttpConnectionManager",
            "stat_prefix": cluster,
            "route_config": {"virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"},
                            "route": {"cluster": cluster,
                                      "timeout": "0s"}}]}]},
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.http.router.v3.Router"}}]}
        if inbound:
            manager["forward_client_cert_details"] = "APPEND_FORWARD"
            manager["set_current_client_cert_details"] = {
                "subject": True, "uri": True, "dns": True}
        return {"name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager}

    def _trust(self, names):
        root = str(self.bench.authority.root_file)
        return {"trusted_ca": {"filename": root},
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": names}]}

    def _mesh_cluster(self, tls, peer, port):
        identity = spiffe_id(NAMESPACE, f"{self.name}-server")
        return {
            "name": f"mesh-{port}", "type": "STATIC", "connect_timeout": "10s",
            "load_assignment": {
                "cluster_name": f"mesh-{port}",
                "endpoints": [{"lb_endpoints": [{"endpoint": {
                    "address": _address(peer.ip, port)}}]}]},
            **_UNLIMITED,
            "transport_socket": {
                "name": "tls",
                "typed_config": {
                    "@type": f"{_TYPE}.transport_sockets.tls.v3."
                             "UpstreamTlsContext",
                    "common_tls_context": dict(
                        tls, validation_context=self._trust(
                            {"exact": identity}))}}}

    @staticmethod
    def _app_cluster():
        return {"name": "app", "type": "ORIGINAL_DST",
                "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "10s",
                "upstream_bind_config": {
                    "source_address": {"address": ONWARD_SOURCE,
                                       "port_value": 0}},
                **_UNLIMITED}


class EnvoyHttp(Envoy):
    name = "envoy-http"
    http_ports = (HTTP_PORT, HTTP_AWARE_PORT)


# As Istio sets them: the defaults of 1024 would refuse the load.
_UNLIMITED = {"circuit_breakers": {"thresholds": [{
    "max_connections": 4294967295, "max_pending_requests": 4294967295,
    "max_requests": 4294967295, "max_retries": 4294967295}]}}


def _address(ip, port):
    return {"socket_address": {"address": ip, "port_value": port}}


def _listener(name, port):
    return {"name": name, "address": _address("0.0.0.0", port),
            "listener_filters": [{
                "name": "envoy.filters.listener.original_dst",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.listener.original_dst.v3."
                             "OriginalDst"}}]}


def _tcp_proxy(cluster):
    return {"name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": f"{_TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": cluster, "cluster": cluster}}


def _passthrough_cluster():
    return {"name": "passthrough", "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "10s",
            **_UNLIMITED}
