package push

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	ttl = 86400 // seconds that a push service keeps a message

	// DefaultSubject is whom push services may write to when nobody says.
	DefaultSubject = "mailto:admin@localhost"
)

// Asker reaches actors. *cluster.Node is one.
type Asker interface {
	Ask(ctx context.Context, kind, id string, msg any) (any, error)
}

// Config is what a Sender works with. DB, Cluster and Keys are needed.
type Config struct {
	DB      *persistence.DB
	Cluster Asker
	Keys    persistence.VAPID
	Private bool // endpoints may be at private addresses: for tests
	Log     *slog.Logger
	// Transport to start from; nil: the usual.
	Transport *http.Transport
}

// Sender sends to browsers.
type Sender struct {
	cfg    Config
	client *http.Client
}

// NewKeys makes the keys of an instance.
func NewKeys() (persistence.VAPID, error) {
	private, public, err := webpush.GenerateVAPIDKeys()
	return persistence.VAPID{Public: public, Private: private}, err
}

// New checks the keys.
func New(cfg Config) (*Sender, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Keys.Subject == "" {
		cfg.Keys.Subject = DefaultSubject
	}
	private, err := decode(cfg.Keys.Private)
	if err != nil {
		return nil, fmt.Errorf("private VAPID key: %w", err)
	}
	key, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("private VAPID key: %w", err)
	}
	public, err := decode(cfg.Keys.Public)
	if err != nil || string(public) != string(key.PublicKey().Bytes()) {
		return nil, errors.New("the public VAPID key does not belong to the private one")
	}
	cfg.Keys.Public, cfg.Keys.Private = base64.RawURLEncoding.EncodeToString(public), base64.RawURLEncoding.EncodeToString(private)
	transport := &http.Transport{}
	if cfg.Transport != nil {
		transport = cfg.Transport.Clone()
	}
	return &Sender{cfg: cfg, client: newClient(cfg.Private, transport)}, nil
}

// decode reads base64 in any of the forms in which keys come.
func decode(text string) ([]byte, error) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.DecodeString(text)
}

// PublicKey is what browsers subscribe with: an uncompressed point, base64url.
func (s *Sender) PublicKey() string { return s.cfg.Keys.Public }

var (
	errEndpoint = protocol.Invalid([]protocol.FieldError{{Field: "endpoint", Rule: "isUrl", Message: "endpoint must be an https URL of a public push service"}})
	errKeys     = protocol.Invalid([]protocol.FieldError{{Field: "keys", Rule: "isKeys", Message: "keys must hold a P-256 point and an authentication secret of 16 bytes"}})
)

// Check refuses what nothing may be sent to. A name is judged again when it is
// resolved.
func (s *Sender) Check(sub protocol.Subscribe) error {
	u, err := url.Parse(sub.Endpoint)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || len(sub.Endpoint) > protocol.MaxEndpoint {
		return errEndpoint
	}
	if !s.cfg.Private {
		name := strings.TrimSuffix(u.Hostname(), ".")
		a, err := netip.ParseAddr(name)
		if err == nil && !public(a) || err != nil && !strings.Contains(name, ".") || strings.HasSuffix(strings.ToLower(name), ".localhost") {
			return errEndpoint
		}
	}
	point, err := decode(sub.Keys.P256DH)
	if err != nil {
		return errKeys
	}
	if _, err := ecdh.P256().NewPublicKey(point); err != nil {
		return errKeys
	}
	if auth, err := decode(sub.Keys.Auth); err != nil || len(auth) != 16 {
		return errKeys
	}
	return nil
}

// Deliver sends one notification to one browser, unless it is gone by now, the
// user is looking anyway, or does not want to be disturbed. An error is worth
// another try.
func (s *Sender) Deliver(ctx context.Context, p persistence.Push) error {
	d, err := s.cfg.DB.PushDelivery(ctx, p.Notification, p.Subscription)
	if err != nil || d == nil || undisturbed(d, time.Now()) || s.active(ctx, d.User) {
		return err
	}
	_, err = s.send(ctx, &d.Subscription, payloadOf(d))
	return err
}

// undisturbed reads the user's clock; without a time zone it is the server's.
func undisturbed(d *persistence.Delivery, now time.Time) bool {
	now = now.Local()
	if d.TimeZone != nil {
		if zone, err := time.LoadLocation(*d.TimeZone); err == nil {
			now = now.In(zone)
		}
	}
	return rules.Undisturbed(d.DoNotDisturb, d.DNDStart, d.DNDEnd, now)
}

// active reports whether the user is online with a connection that is not idle.
func (s *Sender) active(ctx context.Context, user protocol.UserID) bool {
	reply, err := s.cfg.Cluster.Ask(ctx, string(protocol.KindUser), user.String(), &protocol.AskOnline{})
	is, ok := reply.(*protocol.IsOnline)
	return err == nil && ok && is.Online && is.Active
}

// Test sends a message of its own to every browser of a user.
func (s *Sender) Test(ctx context.Context, user protocol.UserID, debug bool) (sent, failed int, err error) {
	list, err := s.cfg.DB.PushSubscriptions(ctx, user)
	if err != nil {
		return 0, 0, err
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	kind := struct {
		Type string `json:"type"`
	}{"TEST"}
	p := payload{Title: "Test Push Notification", Body: "This is a test push notification", Tag: "test-" + now, Data: kind}
	if debug {
		kind.Type = "DEBUG"
		p.Tag, p.Data = "debug-test-"+now, kind
	}
	var good, bad atomic.Int64
	var all sync.WaitGroup
	for i := range list {
		all.Go(func() {
			if arrived, err := s.send(ctx, &list[i], p); err != nil || !arrived {
				bad.Add(1)
				return
			}
			good.Add(1)
		})
	}
	all.Wait()
	return int(good.Load()), int(bad.Load()), nil
}

// send reports whether the push service took the message. An error may go away;
// what never will is logged here. A subscription that the service does not know
// any more is removed.
func (s *Sender) send(ctx context.Context, to *protocol.PushSubscription, p payload) (arrived bool, err error) {
	text, err := json.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("encode push: %w", err)
	}
	resp, err := webpush.SendNotificationWithContext(ctx, text, &webpush.Subscription{
		Endpoint: to.Endpoint, Keys: webpush.Keys{Auth: to.Keys.Auth, P256dh: to.Keys.P256DH},
	}, &webpush.Options{
		HTTPClient: s.client, Subscriber: strings.TrimPrefix(s.cfg.Keys.Subject, "mailto:"), TTL: ttl, Urgency: webpush.UrgencyNormal,
		VAPIDPublicKey: s.cfg.Keys.Public, VAPIDPrivateKey: s.cfg.Keys.Private,
	})
	if errors.Is(err, errForbidden) {
		s.cfg.Log.Warn("push endpoint leads to a forbidden address, it is removed", "subscription", to.ID.String())
		return false, s.cfg.DB.DropSubscription(ctx, to.ID, to.Endpoint)
	}
	if err != nil {
		return false, fmt.Errorf("send push: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxHeader)) // so that the connection can be used again
	_ = resp.Body.Close()
	switch status := resp.StatusCode; {
	case status < 300:
		return true, nil
	case status == http.StatusNotFound, status == http.StatusGone:
		return false, s.cfg.DB.DropSubscription(ctx, to.ID, to.Endpoint)
	case status == http.StatusTooManyRequests, status >= 500:
		return false, fmt.Errorf("push service answers %d", status)
	default:
		s.cfg.Log.Warn("push service refuses a message", "subscription", to.ID.String(), "status", status)
		return false, nil
	}
}
