package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// endSession ends a session of ours that may still be working and waits for its end.
var endSession = query(`
	SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
	WHERE pid = $1 AND application_name = $2 AND pid <> pg_backend_pid()`)

// planForLane has a session plan each statement once, and by index. Planning costs more than
// storing a small batch. Statements of lanes look rows up by key, but a plan that was made
// while a table was small would go on reading all of it when it has grown.
var planForLane = query(`
	SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)`)

const dropTimeout = time.Second

var (
	errNoConnection = errors.New("no connection to the database")
	errSessionLives = errors.New("the lost session has not ended yet")
)

// link is the connection of a lane. It is held while the writer runs, so that storing does
// not compete with reads for a connection.
type link struct {
	w    *Writer
	conn *pgxpool.Conn
	lost []session // sessions whose last transaction may still be running
}

// session names a connection on the server's side.
type session struct {
	pid  uint32
	name string // application_name, unique per connection
}

// run sends the whole transaction in one round trip and waits for its commit.
func (k *link) run(ctx context.Context, work transaction) error {
	if err := k.open(ctx); err != nil {
		return err
	}
	conn := k.conn.Conn()
	err := send(ctx, conn, work)
	if err == nil {
		return nil
	}
	if conn.PgConn().TxStatus() != 'I' && !conn.IsClosed() {
		_, _ = conn.Exec(ctx, "ROLLBACK") // a failure shows in TxStatus
	}
	if conn.IsClosed() || conn.PgConn().TxStatus() != 'I' || forgetful(err) {
		k.lost = append(k.lost, session{pid: conn.PgConn().PID(), name: conn.Config().RuntimeParams["application_name"]})
		k.drop()
	}
	return err
}

// send runs BEGIN, the check of the leases, the statements and COMMIT. It must be an explicit
// transaction: pgx sends arguments while it encodes them, and when one of them cannot be
// encoded it ends the pipeline, which would commit the statements before it.
func send(ctx context.Context, conn *pgx.Conn, work transaction) error {
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(checkLeases, leaseArgs(work.owners)...)
	for i, p := range work.parts {
		b.Queue(p.statement.SQL, work.args[i]...)
	}
	b.Queue("COMMIT")
	results := conn.SendBatch(ctx, b)
	var err error
	for i := range b.Len() {
		if _, err = results.Exec(); err != nil {
			if n := i - 2; n >= 0 && n < len(work.parts) {
				err = fmt.Errorf("%s: %w", work.parts[n].statement.Name, err)
			}
			break
		}
	}
	if cerr := results.Close(); err == nil {
		err = cerr
	}
	return err
}

// open has a connection ready and no lost session behind.
func (k *link) open(ctx context.Context) error {
	if k.conn == nil {
		conn, err := k.w.db.pool.Acquire(ctx)
		if err != nil {
			if isClosedPool(err) {
				return err
			}
			return fmt.Errorf("%w: %w", errNoConnection, err)
		}
		k.conn = conn
		if _, err := conn.Exec(ctx, planForLane); err != nil {
			k.drop()
			return fmt.Errorf("%w: %w", errNoConnection, err)
		}
	}
	for len(k.lost) > 0 {
		if err := k.end(ctx, k.lost[0]); err != nil {
			k.drop()
			return fmt.Errorf("%w: %w", errNoConnection, err)
		}
		k.lost = k.lost[1:]
	}
	return nil
}

// end makes sure that s does nothing any more. What it was doing is committed or not when
// end returns, and cannot happen later, after rows that were enqueued behind.
func (k *link) end(ctx context.Context, s session) error {
	var ended bool
	err := k.conn.QueryRow(ctx, endSession, s.pid, s.name).Scan(&ended)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && !ended {
		err = errSessionLives
	}
	return err
}

// drop closes the connection for good: nobody else wants it with the settings of a lane.
func (k *link) drop() {
	if k.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	_ = k.conn.Conn().Close(ctx) // the pool forgets a closed connection
	k.conn.Release()
	k.conn = nil
}

// forgetful errors come from a server or pooler that will not behave on this connection.
func forgetful(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pe.Code == "25006" || pe.Code == "26000")
}

// transient reports whether err, which run returned, has nothing to do with the rows. An
// error that is neither the server's nor broke the connection was found before anything was
// sent: an argument that cannot be encoded.
func (k *link) transient(err error) bool {
	if errors.Is(err, errNoConnection) {
		return true
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return transientCode(pe)
	}
	return k.conn == nil && !isClosedPool(err)
}
