package relay

// deque is a queue in one slice: what is taken from the front leaves room that
// is used again.
type deque[T any] struct {
	list []T
	head int
}

func (q *deque[T]) len() int { return len(q.list) - q.head }

func (q *deque[T]) front() T { return q.list[q.head] }

// items is what is in the queue, oldest first, until the next change.
func (q *deque[T]) items() []T { return q.list[q.head:] }

func (q *deque[T]) push(v T) {
	if len(q.list) == cap(q.list) && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, v)
}

func (q *deque[T]) pop() {
	var zero T
	q.list[q.head] = zero
	q.head++
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
		if cap(q.list) > keepDeque {
			q.list = nil
		}
	}
}

// keepDeque is the largest capacity that an empty queue keeps.
const keepDeque = 64
