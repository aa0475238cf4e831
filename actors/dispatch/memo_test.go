package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memo[int64]
		var made atomic.Int64
		slow := func(context.Context) (int64, error) {
			time.Sleep(time.Second)
			return made.Add(1), nil
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if n, err := m.get(t.Context(), slow); n != 1 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
			})
		}
		all.Wait()
		time.Sleep(49 * time.Second)
		if n, _ := m.get(t.Context(), slow); n != 1 {
			t.Errorf("made again although it took long")
		}
		time.Sleep(2 * time.Second)
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := m.get(impatient, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v", err)
		}
		if n, _ := m.get(t.Context(), slow); n != 2 {
			t.Errorf("got %d, want what the impatient began", n)
		}
	})
}

func TestMemoKeepsNeitherCheapNorFailed(t *testing.T) {
	t.Parallel()
	var m memo[int]
	n := 0
	for want := 1; want < 4; want++ {
		got, err := m.get(t.Context(), func(context.Context) (int, error) {
			n++
			if n == 2 {
				return n, errors.New("failed")
			}
			return n, nil
		})
		if got != want || (err != nil) != (want == 2) {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
}
