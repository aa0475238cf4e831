package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/rookery-chat/rookery/actors/sfu"
)

// voiceKey names the secret that this server shares with its own LiveKit.
const voiceKey = "rookery"

func (c *config) voiceFlags(fs *flag.FlagSet, text func(p *string, name, env, value, about string)) {
	text(&c.voice, "voice", "ROOKERY_VOICE", "off", "`on or off`: run the media server of voice; clients can't use it yet")
	text(&c.livekitURL, "livekit-url", "LIVEKIT_URL", "", "`URL` of a LiveKit server as browsers reach it; empty: start one")
	text(&c.livekitAPI, "livekit-internal-url", "LIVEKIT_INTERNAL_URL", "", "`URL` at which this server reaches it; empty: the same")
	text(&c.livekitKey, "livekit-api-key", "LIVEKIT_API_KEY", "", "API `key` of that LiveKit server")
	text(&c.livekitSecret, "livekit-api-secret", "LIVEKIT_API_SECRET", "", "API `secret` of that LiveKit server")
	text(&c.mediaAddress, "media-address", "ROOKERY_MEDIA_ADDRESS", "",
		"`IP address` at which browsers reach this machine for voice; empty: that of --listen, or the first of this machine")
	port := func(p *int, name, env string, value int, about string) {
		if v, err := strconv.Atoi(os.Getenv(env)); err == nil {
			value = v
		}
		fs.IntVar(p, name, value, about+" [$"+env+"]")
	}
	port(&c.mediaUDP, "media-udp-port", "ROOKERY_MEDIA_UDP_PORT", 0,
		fmt.Sprintf("UDP `port` for voice, to be open in firewalls; 0: %d, or another one if that is taken", sfu.DefaultUDPPort))
	port(&c.mediaTCP, "media-tcp-port", "ROOKERY_MEDIA_TCP_PORT", 0, "TCP `port` for voice of those who can't use UDP, to be open in firewalls; 0: none")
}

func (c *config) checkVoice() error {
	if c.voice != "on" && c.voice != "off" {
		return fmt.Errorf("--voice is %q, must be on or off", c.voice)
	}
	if c.mediaAddress != "" && net.ParseIP(c.mediaAddress) == nil {
		return fmt.Errorf("--media-address %q is not an IP address", c.mediaAddress)
	}
	for name, port := range map[string]int{"--media-udp-port": c.mediaUDP, "--media-tcp-port": c.mediaTCP} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("%s %d is not a port", name, port)
		}
	}
	external := sfu.Config{URL: c.livekitURL, InternalURL: c.livekitAPI, Key: c.livekitKey, Secret: c.livekitSecret}
	return external.Check()
}

// media is the address at which browsers send voice.
func (c *config) media() net.IP {
	if ip := net.ParseIP(c.mediaAddress); ip != nil {
		return ip
	}
	host, _, err := net.SplitHostPort(c.listen)
	if err != nil {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		return ip
	}
	if host == "localhost" {
		return net.IPv4(127, 0, 0, 1)
	}
	return firstAddress()
}

// firstAddress is one of this machine that others may reach; loopback when there is
// none.
func firstAddress() net.IP {
	addrs, _ := net.InterfaceAddrs() // none will do
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP
		}
	}
	return net.IPv4(127, 0, 0, 1)
}

// openVoice starts the media server or finds the one that was given. Reports come to
// the address on which clients are served.
func (s *server) openVoice(keys *secrets) (err error) {
	cfg := sfu.Config{
		URL: s.cfg.livekitURL, InternalURL: s.cfg.livekitAPI, Key: s.cfg.livekitKey, Secret: s.cfg.livekitSecret, Log: s.log,
	}
	if cfg.URL == "" {
		cfg.Key, cfg.Secret = voiceKey, keys.Voice
		cfg.Media, cfg.UDPPort, cfg.TCPPort = s.cfg.media(), s.cfg.mediaUDP, s.cfg.mediaTCP
		if s.cfg.voice == "on" && sfu.Embedded {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this executable: %w", err)
			}
			cfg.Command = []string{self, "sfu"}
		}
		if host, _, err := net.SplitHostPort(s.cfg.clusterListen); err == nil {
			if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
				cfg.Signal = ip
			}
		}
	}
	if s.media, err = sfu.Start(cfg); err != nil {
		return fmt.Errorf("start voice: %w", err)
	}
	return nil
}

// signal forwards browsers to the media server; nil when they go there themselves.
func (s *server) signal() http.HandlerFunc {
	if s.media.External() != "" || !s.media.Configured() {
		return nil
	}
	f := &sfu.Forwarder{Server: s.media, Log: s.log, Locate: s.mediaOf}
	return f.ServeHTTP
}

// mediaOf finds the media server of a room.
func (s *server) mediaOf(ctx context.Context, _ string) (string, error) {
	return s.media.Await(ctx)
}

// serveMedia is the child.
func serveMedia(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) > 0 {
		return errors.New("it takes its configuration from its input, and no arguments")
	}
	return sfu.Serve(ctx, os.Stdin)
}
