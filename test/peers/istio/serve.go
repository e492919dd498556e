// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	pb "istio.io/api/security/v1alpha1"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/pki/ca"
	"istio.io/istio/security/pkg/pki/util"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type server struct {
	pb.UnimplementedIstioCertificateServiceServer
	ca     *ca.IstioCA
	tokens map[string]bool
	joined bool
}

// serve ADDRESS CACERTS TOKENS each|joined: CACERTS is Istio's folder of a
// plugged-in CA, TOKENS a file with one a line, whose bearers may impersonate.
// each: an element of the answer for each certificate but the roots, as istiod
// answers since 1.24; joined: one for all intermediates, as before.
func serve(words []string) error {
	if len(words) != 4 {
		return errors.New("serve ADDRESS CACERTS TOKENS each|joined")
	}
	address, folder := words[0], words[1]
	text, err := os.ReadFile(words[2])
	if err != nil {
		return err
	}
	tokens := map[string]bool{}
	for _, line := range strings.Fields(string(text)) {
		tokens[line] = true
	}
	options, err := ca.NewPluggedCertIstioCAOptions(ca.SigningCAFileBundle{
		RootCertFile:    folder + "/root-cert.pem",
		CertChainFiles:  []string{folder + "/cert-chain.pem"},
		SigningCertFile: folder + "/ca-cert.pem",
		SigningKeyFile:  folder + "/ca-key.pem",
	}, 24*time.Hour, 90*24*time.Hour, 2048)
	if err != nil {
		return err
	}
	authority, err := ca.NewIstioCA(options)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	certificate, key, err := authority.GenKeyCert([]string{host}, time.Hour, false)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(
		append(certificate, authority.GetCAKeyCertBundle().GetCertChainPem()...), key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	made := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	pb.RegisterIstioCertificateServiceServer(made, &server{
		ca: authority, tokens: tokens, joined: words[3] == "joined"})
	fmt.Println("serving")
	return made.Serve(listener)
}

// As security/pkg/server/ca of Istio, but for who may ask: its own decides that
// with a client of Kubernetes.
func (s *server) CreateCertificate(ctx context.Context, request *pb.IstioCertificateRequest) (
	*pb.IstioCertificateResponse, error) {
	incoming, _ := metadata.FromIncomingContext(ctx)
	authorization := incoming.Get("authorization")
	if len(authorization) != 1 ||
		!s.tokens[strings.TrimPrefix(authorization[0], "Bearer ")] {
		return nil, status.Error(codes.Unauthenticated, "request authenticate failure")
	}
	identity := request.Metadata.GetFields()[security.ImpersonatedIdentity].GetStringValue()
	if identity == "" {
		return nil, status.Error(codes.Unauthenticated, "request authenticate failure")
	}
	certificate, err := s.ca.Sign([]byte(request.Csr), ca.CertOpts{
		SubjectIDs: []string{identity},
		TTL:        time.Duration(request.ValidityDuration) * time.Second,
	})
	if err != nil {
		return nil, status.Errorf(codes.Internal, "CSR signing error (%v)", err)
	}
	bundle := s.ca.GetCAKeyCertBundle()
	chain := []string{string(certificate)}
	if between := bundle.GetCertChainPem(); len(between) != 0 {
		chain = append(chain, string(between))
	}
	response := &pb.IstioCertificateResponse{CertChain: chain}
	if !s.joined {
		response.CertChain = nil
		for _, each := range chain {
			for _, one := range util.PemCertBytestoString([]byte(each)) {
				response.CertChain = append(response.CertChain, one+"\n")
			}
		}
	}
	response.CertChain = append(response.CertChain, string(bundle.GetRootCertPem()))
	fmt.Println("signed", identity)
	return response, nil
}
