package persistence

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// minServerVersion is the oldest Postgres that is served, in the form of
	// server_version_num.
	minServerVersion = 140000

	defaultMaxConns = 20
	connectTimeout  = 10 * time.Second
)

// limitSession has the server notice within a minute that the machine of a client is gone,
// and end a transaction that its client forgot: their locks would stay for hours.
var limitSession = query(`
	SELECT set_config('tcp_keepalives_idle', '20', false), set_config('tcp_keepalives_interval', '5', false),
		set_config('tcp_keepalives_count', '4', false), set_config('idle_in_transaction_session_timeout', '60s', false)`)

// Config says which database to open. Only URL is required.
type Config struct {
	// URL is a Postgres connection URL or keyword/value string.
	URL string
	// MaxConns bounds the connections of this process; 20 when zero.
	MaxConns int
	// Log receives what is worth telling an operator; silent when nil.
	Log *slog.Logger
	// Tracer is told of every statement of the pool; may be nil.
	Tracer pgx.QueryTracer
}

// DB is the one handle to the database: the pool for reads and structural changes,
// migrations, leases. It is safe for concurrent use.
type DB struct {
	pool     *pgxpool.Pool
	log      *slog.Logger
	pages    pageCache
	search   searchNotes
	seen     seenUsers
	searches chan struct{} // holds one for each search that runs

	trigrams atomic.Pointer[bool] // whether there is an index of trigrams; nil: not known yet
}

// Open connects, checks that the server is new enough and returns a handle. The error of
// a wrong URL, a server that does not answer or an old server is one line that says what
// was tried. It does not migrate.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, oneLine(fmt.Errorf("read database URL: %w", err))
	}
	configure(pc, cfg)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, oneLine(fmt.Errorf("open database pool: %w", err))
	}
	if err := checkServer(ctx, pool); err != nil {
		pool.Close()
		return nil, oneLine(err)
	}
	return &DB{pool: pool, log: logger(cfg.Log), searches: make(chan struct{}, maxSearches)}, nil
}

func configure(pc *pgxpool.Config, cfg Config) {
	pc.MaxConns = int32(cfg.MaxConns)
	if cfg.MaxConns <= 0 {
		pc.MaxConns = defaultMaxConns
	}
	pc.MaxConnLifetimeJitter = pc.MaxConnLifetime / 10
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = connectTimeout
	}
	pc.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if cfg.Tracer != nil {
		pc.ConnConfig.Tracer = cfg.Tracer
	}
	// Every connection has a name of its own, by which the writer finds a session that it
	// lost (see Writer) and an operator finds it in pg_stat_activity.
	pc.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
		cc.RuntimeParams["application_name"] = "rookery/" + randomHex(4)
		return nil
	}
	pc.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		registerUTC(c.TypeMap())
		_, err := c.Exec(ctx, limitSession)
		return err
	}
}

// registerUTC makes timestamptz columns come back in UTC instead of local time.
func registerUTC(m *pgtype.Map) {
	t := &pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}}
	m.RegisterType(t)
	m.RegisterType(&pgtype.Type{Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID, Codec: &pgtype.ArrayCodec{ElementType: t}})
}

func checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	var num int
	var text string
	row := pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version')`)
	if err := row.Scan(&num, &text); err != nil {
		return fmt.Errorf("connect to database: %w", err)
	}
	return checkVersion(num, text)
}

func checkVersion(num int, text string) error {
	if num < minServerVersion {
		return fmt.Errorf("connect to database: Postgres %s is too old, %d or newer is needed", text, minServerVersion/10000)
	}
	return nil
}

// Pool is the pool for everything that is not write-behind.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.pool.Ping(ctx); err != nil {
		return oneLine(fmt.Errorf("ping database: %w", err))
	}
	return nil
}

// Close writes what waits of SawUser, closes the pool and waits until every connection has
// come back. Close writers first.
func (db *DB) Close() {
	db.FlushSeen()
	db.pool.Close()
}

// InTx runs f in a transaction and commits it when f returns nil.
func (db *DB) InTx(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.pool, f)
}

// lineError is an error whose text fits on one line.
type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }

// oneLine folds the text of a driver error, which may list several attempts on lines of
// their own, into one line without repeating itself.
func oneLine(err error) error {
	if err == nil || !strings.ContainsAny(err.Error(), "\n\t") {
		return err
	}
	var parts []string
	for line := range strings.Lines(err.Error()) {
		part := strings.TrimSpace(line)
		if part == "" || (len(parts) > 0 && parts[len(parts)-1] == part) {
			continue
		}
		parts = append(parts, part)
	}
	text := parts[0]
	for _, p := range parts[1:] {
		if strings.HasSuffix(text, ":") {
			text += " " + p
		} else {
			text += "; " + p
		}
	}
	return &lineError{text: text, err: err}
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
