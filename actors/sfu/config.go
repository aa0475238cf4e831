package sfu

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
)

// DefaultUDPPort is where media comes in, unless another port is given.
const DefaultUDPPort = 7882

// Config says which LiveKit server to use. With a URL it is an external one, else a
// child process.
type Config struct {
	URL         string // what browsers connect to: ws:// or wss://, http:// or https://
	InternalURL string // what this server connects to; empty: URL
	Key, Secret string // of the API, shared with the server

	// The rest is for the child.

	// Command is what to run: the path of this executable and its arguments. Empty:
	// there is no child, and no voice without a URL.
	Command []string
	// Media is the address at which browsers reach the media port. Loopback: only
	// those of this machine do.
	Media net.IP
	// UDPPort takes media; 0: DefaultUDPPort, or any free port when that is taken.
	UDPPort int
	// TCPPort takes media of browsers that can't use UDP; 0: none does.
	TCPPort int
	// Signal is the address of the signalling port, whose number is up to the system.
	// It is private to the nodes of the cluster. Nil: loopback.
	Signal net.IP
	// Webhook is the URL that LiveKit reports to.
	Webhook string
	Log     *slog.Logger
}

// Check finds contradictions.
func (c *Config) Check() error {
	if c.URL == "" {
		if c.InternalURL != "" {
			return errors.New("an internal LiveKit URL needs a LiveKit URL")
		}
		return nil
	}
	for _, s := range []string{c.URL, c.InternalURL} {
		if s == "" {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" && u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("LiveKit URL %q must look like wss://host", s)
		}
	}
	if c.Key == "" || c.Secret == "" {
		return errors.New("an external LiveKit server needs its API key and secret")
	}
	return nil
}

// apiURL is where the API is: LiveKit answers websockets and HTTP at the same place.
func apiURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	}
	return u.String()
}

// LiveKit reads the configuration of a server as YAML, of which JSON is a part.
type (
	serverConfig struct {
		Port          int               `json:"port"`
		BindAddresses []string          `json:"bind_addresses"`
		RTC           rtcConfig         `json:"rtc"`
		Keys          map[string]string `json:"keys"`
		WebHook       *webhookConfig    `json:"webhook,omitempty"`
		Room          roomConfig        `json:"room"`
		Logging       loggingConfig     `json:"logging"`
	}
	rtcConfig struct {
		UDPPort        int             `json:"udp_port"`
		TCPPort        int             `json:"tcp_port"`
		NodeIP         string          `json:"node_ip"`
		UseExternalIP  bool            `json:"use_external_ip"`
		Loopback       bool            `json:"enable_loopback_candidate"`
		Interfaces     *interfaceNames `json:"interfaces,omitempty"`
		CandidatesOnly *addressRanges  `json:"ips,omitempty"`
	}
	interfaceNames struct {
		Includes []string `json:"includes"`
	}
	addressRanges struct {
		Includes []string `json:"includes"`
	}
	webhookConfig struct {
		Key  string   `json:"api_key"`
		URLs []string `json:"urls"`
	}
	roomConfig struct {
		EnabledCodecs      []codec `json:"enabled_codecs"`
		EmptyTimeout       int     `json:"empty_timeout"`     // seconds until a room that nobody entered ends
		DepartureTimeout   int     `json:"departure_timeout"` // and one that everybody left
		EnableRemoteUnmute bool    `json:"enable_remote_unmute"`
		MaxMetadataSize    int     `json:"max_metadata_size"`
	}
	codec struct {
		Mime string `json:"mime"`
	}
	loggingConfig struct {
		JSON  bool   `json:"json"`
		Level string `json:"level"`
	}
)

// maxMetadata bounds what a participant may say about himself.
const maxMetadata = 4096

// line is the configuration of a child, in one line.
func (c *Config) line(signalPort, udpPort int) ([]byte, error) {
	conf := serverConfig{
		Port:          signalPort,
		BindAddresses: []string{c.signal().String()},
		RTC:           rtcConfig{UDPPort: udpPort, TCPPort: c.TCPPort, NodeIP: c.media().String()},
		Keys:          map[string]string{c.Key: c.Secret},
		Room: roomConfig{
			EnabledCodecs: []codec{{"audio/opus"}, {"video/h264"}},
			EmptyTimeout:  30, DepartureTimeout: 5, EnableRemoteUnmute: true, MaxMetadataSize: maxMetadata,
		},
		Logging: loggingConfig{JSON: true, Level: "warn"},
	}
	if c.Webhook != "" {
		conf.WebHook = &webhookConfig{Key: c.Key, URLs: []string{c.Webhook}}
	}
	if ip := c.media(); ip.IsLoopback() {
		conf.RTC.Loopback = true
		bits := "/128"
		if ip.To4() != nil {
			bits = "/32"
		}
		conf.RTC.CandidatesOnly = &addressRanges{Includes: []string{ip.String() + bits}}
	}
	b, err := json.Marshal(conf)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration of LiveKit: %w", err)
	}
	return append(b, '\n'), nil
}

func (c *Config) signal() net.IP {
	if c.Signal == nil {
		return net.IPv4(127, 0, 0, 1)
	}
	return c.Signal
}

func (c *Config) media() net.IP {
	if c.Media == nil {
		return net.IPv4(127, 0, 0, 1)
	}
	return c.Media
}

// udpPort finds a port for media.
func (c *Config) udpPort() (int, error) {
	want := c.UDPPort
	if want == 0 {
		want = DefaultUDPPort
	}
	port, err := freeUDP(c.mediaBind(), want)
	if err != nil && c.UDPPort == 0 {
		port, err = freeUDP(c.mediaBind(), 0)
	}
	if err != nil {
		return 0, fmt.Errorf("the media port %d (UDP) can't be used: %w", want, err)
	}
	return port, nil
}

// mediaBind is the address that LiveKit listens on for media: all, unless only this
// machine is served.
func (c *Config) mediaBind() net.IP {
	if ip := c.media(); ip.IsLoopback() {
		return ip
	}
	return net.IPv4zero
}

func freeUDP(ip net.IP, port int) (int, error) {
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		return 0, err
	}
	port = l.LocalAddr().(*net.UDPAddr).Port
	return port, l.Close()
}

func freeTCP(ip net.IP) (int, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

func address(ip net.IP, port int) string { return net.JoinHostPort(ip.String(), strconv.Itoa(port)) }
