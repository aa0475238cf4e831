package cluster

import "context"

type deliveredKey struct{}

// WithDelivered makes Ask call f as soon as the message is in the mailbox of an
// actor on this node, or in the queue to the node of its owner: what is asked of
// the same actor after that is handled after it, unless the actor moves
// meanwhile. f may be called more than once, on any goroutine, and must not
// block. It is not called when the message never gets that far.
func WithDelivered(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, deliveredKey{}, f)
}

func delivered(ctx context.Context) {
	if f, ok := ctx.Value(deliveredKey{}).(func()); ok {
		f()
	}
}
