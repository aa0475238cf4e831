package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// errBudget says that a body has more than it may have at this place.
var errBudget = errors.New("more than is allowed here")

// paced reads a body that may be long from a client that may be slow, but must
// not stop: every piece has to come in time. The budget bounds what may come
// until it is set anew.
type paced struct {
	r      io.Reader
	rc     *http.ResponseController
	budget int64
	step   time.Duration // of uploadPiece
	due    int64         // bytes until there is time again
}

func (p *paced) Read(b []byte) (int, error) {
	if p.budget <= 0 {
		return 0, errBudget
	}
	if p.due <= 0 {
		p.due = uploadPiece
		_ = p.rc.SetReadDeadline(time.Now().Add(p.step)) // without support there was no deadline
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.budget)])
	p.budget -= int64(n)
	p.due -= int64(n)
	return n, err
}

// uploadSlots bound the uploads that are received at the same time on this node.
type uploadSlots struct {
	node chan struct{}

	mu    sync.Mutex
	users map[protocol.UserID]*userSlots
}

type userSlots struct {
	slots chan struct{}
	users int // who hold or wait for one
}

func newUploadSlots() *uploadSlots {
	return &uploadSlots{node: make(chan struct{}, nodeUploads), users: map[protocol.UserID]*userSlots{}}
}

// take waits for a place among the user's uploads and then among all.
func (u *uploadSlots) take(ctx context.Context, user protocol.UserID) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, uploadWait)
	defer cancel()
	own := u.enter(user)
	select {
	case own.slots <- struct{}{}:
	case <-ctx.Done():
		u.leave(user)
		return nil, errManyUploads
	}
	select {
	case u.node <- struct{}{}:
		return func() {
			<-u.node
			<-own.slots
			u.leave(user)
		}, nil
	case <-ctx.Done():
		<-own.slots
		u.leave(user)
		return nil, errManyUploads
	}
}

func (u *uploadSlots) enter(user protocol.UserID) *userSlots {
	u.mu.Lock()
	defer u.mu.Unlock()
	own := u.users[user]
	if own == nil {
		own = &userSlots{slots: make(chan struct{}, userUploads)}
		u.users[user] = own
	}
	own.users++
	return own
}

func (u *uploadSlots) leave(user protocol.UserID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if own := u.users[user]; own != nil {
		if own.users--; own.users == 0 {
			delete(u.users, user)
		}
	}
}
