package cluster_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

// authority signs certificates for nodes on the loopback address.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

func (a *authority) config(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: a.pool}
}

func TestSecretAndCertificates(t *testing.T) {
	if cluster.RaceEnabled {
		t.Skip("several nodes in one process")
	}
	ca := newAuthority(t)
	secret := []byte("0123456789abcdef0123456789abcdef")
	run := func(secret []byte, conf *tls.Config, join ...string) *cluster.Node {
		n := start(t, cluster.Config{Listen: "127.0.0.1:0", Join: join, Secret: secret, TLS: conf})
		if _, err := n.Spawn("echo", actor.PropsFromFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(add); ok {
				cluster.Reply(ctx, total(m))
			}
		})); err != nil {
			t.Fatal(err)
		}
		return n
	}
	a := run(secret, ca.config(t))
	b := run(secret, ca.config(t), a.Addr())
	agree(t, a, b)
	if v, err := a.AskNode(t.Context(), b.ID(), "echo", add{4}); err != nil || v != (total{4}) {
		t.Fatal(v, err)
	}

	foreign := newAuthority(t).config(t)
	outsiders := map[string]struct {
		secret []byte
		conf   *tls.Config
	}{
		"wrong secret":        {[]byte("another secret.."), ca.config(t)},
		"no secret":           {nil, ca.config(t)},
		"no certificate":      {secret, &tls.Config{RootCAs: ca.pool}},
		"foreign certificate": {secret, foreign},
		"no TLS":              {secret, nil},
	}
	t.Run("outsiders", func(t *testing.T) {
		for name, o := range outsiders {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				n := start(t, cluster.Config{Listen: "127.0.0.1:0", Join: []string{a.Addr()}, Secret: o.secret, TLS: o.conf})
				if got := len(n.View().Members); got != 1 {
					t.Errorf("sees %d members", got)
				}
				if v, err := n.AskNode(t.Context(), a.ID(), "echo", add{1}); err == nil {
					t.Errorf("got an answer: %v", v)
				}
				agree(t, a, b)
			})
		}
	})
	agree(t, a, b)
	if v, err := b.AskNode(t.Context(), a.ID(), "echo", add{5}); err != nil || v != (total{5}) {
		t.Fatal(v, err)
	}
}
