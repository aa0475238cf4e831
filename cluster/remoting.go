package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// remotingPorts is how many ports above that of gossip are tried.
const remotingPorts = 64

// listen opens remoting. The library takes a port, not a listener, so a port
// that was free a moment ago may be taken: then the next one is tried.
func (n *Node) listen(g *membership) error {
	err := errors.New("no port above that of gossip is free")
	for i := 1; i <= remotingPorts; i++ {
		port := 0
		if g.bindPort != 0 {
			port = g.bindPort + i
		}
		if port, err = freePort(n.ctx, g.bindHost, port); err != nil {
			continue
		}
		if err = n.startRemote(g, port); err == nil {
			g.remotePort = port
			return nil
		}
	}
	return fmt.Errorf("cluster: listen for remoting: %w", err)
}

func freePort(ctx context.Context, host string, port int) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (n *Node) startRemote(g *membership, port int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	r := remote.NewRemote(n.system, n.remoteConfig(g, port))
	r.Start() // panics when it cannot listen
	n.remote = r
	return nil
}

func (n *Node) remoteConfig(g *membership, port int) *remote.Config {
	server, client := n.credentials()
	config := remote.Configure(g.bindHost, port,
		remote.WithAdvertisedHost(net.JoinHostPort(g.host, strconv.Itoa(port))),
		remote.WithEndpointWriterBatchSize(200),
		remote.WithEndpointWriterQueueSize(1024),
		remote.WithServerOptions(
			server,
			grpc.MaxRecvMsgSize(maxGRPCMessage),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: 5 * time.Second, Timeout: 3 * time.Second}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		),
		remote.WithDialOptions(
			client,
			grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(maxGRPCMessage), grpc.MaxCallRecvMsgSize(maxGRPCMessage)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Second, Timeout: 3 * time.Second}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: 2 * time.Second}),
			grpc.WithNoProxy(),
		),
	)
	config.MaxRetryCount = 1 // each failed try blocks what is queued for two seconds
	return config
}

// credentials are mutual TLS, or nothing: then the network must be private.
func (n *Node) credentials() (grpc.ServerOption, grpc.DialOption) {
	if n.cfg.TLS == nil {
		return grpc.Creds(insecure.NewCredentials()), grpc.WithTransportCredentials(insecure.NewCredentials())
	}
	server := n.cfg.TLS.Clone()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	if server.ClientCAs == nil {
		server.ClientCAs = server.RootCAs
	}
	server.MinVersion = max(server.MinVersion, tls.VersionTLS12)
	client := n.cfg.TLS.Clone()
	client.MinVersion = server.MinVersion
	return grpc.Creds(credentials.NewTLS(server)), grpc.WithTransportCredentials(credentials.NewTLS(client))
}
