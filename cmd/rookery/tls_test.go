package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestClusterTLS runs two nodes with certificates and a secret of their own; a
// node with another secret stays alone.
func TestClusterTLS(t *testing.T) {
	pg := pgtest.NewServer(t)
	cert, key, ca := certificates(t)
	start := func(secret string, join ...string) *node {
		gossip := freeAddr(t)
		args := []string{"--database-url", pg.URL(), "--cluster-listen", gossip, "--cluster-secret", secret,
			"--cluster-cert", cert, "--cluster-key", key, "--cluster-ca", ca}
		if len(join) > 0 {
			args = append(args, "--join", strings.Join(join, ","))
		}
		n := startNode(t, args...)
		n.gossip = gossip
		return n
	}
	first := start("the secret of the house")
	second := start("the secret of the house", first.gossip)
	awaitMembers(t, first, 2)
	awaitMembers(t, second, 2)
	owner, err := first.api().Setup(within(t))
	if err != nil {
		t.Fatal(err)
	}
	// Whatever node owns an actor, both reach it.
	for _, n := range []*node{first, second} {
		if _, err := n.api().As(owner.Token).History(within(t), owner.General); err != nil {
			t.Error(err)
		}
	}
	stranger := start("guessed", first.gossip)
	await(t, "the stranger gives up looking for others", func() bool { return get(within(t), t, stranger.url()+"/readyz") == 200 })
	awaitMembers(t, stranger, 1)
	awaitMembers(t, first, 2)
}

// certificates makes an authority and one certificate of it for 127.0.0.1, and
// returns the paths of their files.
func certificates(t *testing.T) (cert, key, ca string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, nodeKey := newKey(), newKey()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, &nodeKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(nodeKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("node.pem", "CERTIFICATE", leafDER), write("node.key", "EC PRIVATE KEY", keyDER), write("ca.pem", "CERTIFICATE", caDER)
}
