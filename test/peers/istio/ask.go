// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/caclient/providers/citadel"
	"istio.io/istio/security/pkg/pki/util"
)

// token is a security.CredFetcher.
type token string

func (t token) GetPlatformCredential() (string, error) { return string(t), nil }
func (t token) GetIdentityProvider() string            { return "" }
func (t token) Stop()                                  {}

// ask ADDRESS ROOTS TOKEN IDENTITY SECONDS rsa|ec: prints what came as JSON,
// after Go's own X.509 has verified it for both purposes.
func ask(words []string) error {
	if len(words) != 6 {
		return errors.New("ask ADDRESS ROOTS TOKEN IDENTITY SECONDS rsa|ec")
	}
	address, roots, identity := words[0], words[1], words[3]
	seconds, err := strconv.ParseInt(words[4], 10, 64)
	if err != nil {
		return err
	}
	options := util.CertOptions{Host: identity, RSAKeySize: 2048}
	if words[5] == "ec" {
		options.ECSigAlg, options.ECCCurve = util.EcdsaSigAlg, util.P256Curve
	}
	csr, _, err := util.GenCSR(options)
	if err != nil {
		return err
	}
	client, err := citadel.NewCitadelClient(&security.Options{
		CAEndpoint: address,
		// It takes localhost for a forwarded istiod.
		CAEndpointSAN: "localhost",
		ClusterID:     "Kubernetes",
		CredFetcher:   token(words[2]),
	}, &citadel.TLSOptions{RootCert: roots})
	if err != nil {
		return err
	}
	defer client.Close()
	chain, err := client.CSRSign(csr, seconds)
	if err != nil {
		return err
	}
	if err := verify(chain, identity); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(chain)
}

// The chain as Istio's agent takes it: the last element has the roots.
func verify(chain []string, identity string) error {
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
	}
	options.Roots.AppendCertsFromPEM([]byte(chain[len(chain)-1]))
	options.Intermediates.AppendCertsFromPEM(
		[]byte(strings.Join(chain[:len(chain)-1], "")))
	block, _ := pem.Decode([]byte(chain[0]))
	if block == nil {
		return errors.New("no PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	for _, usage := range []x509.ExtKeyUsage{
		x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		options.KeyUsages = []x509.ExtKeyUsage{usage}
		if _, err := leaf.Verify(options); err != nil {
			return err
		}
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != identity {
		return fmt.Errorf("its names are %v", leaf.URIs)
	}
	return nil
}
