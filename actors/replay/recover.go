package replay

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/rookery-chat/rookery/actors/replay/fmp4"
)

// Recover opens the directory of a recording that nobody writes any more. Files that
// are not whole, or not of a recording, are left out.
func Recover(dir string) (*Buffer, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("recover a recording: %w", err)
	}
	b := newBuffer(dir, math.MaxInt64/10, math.MaxInt64)
	var inits, numbers []uint32
	for _, e := range entries {
		parts := names.FindStringSubmatch(e.Name())
		if parts == nil || !e.Type().IsRegular() {
			continue
		}
		number, err := strconv.ParseUint(parts[1]+parts[2], 10, 32)
		if err != nil || number == 0 {
			continue
		}
		if parts[1] == "" {
			numbers = append(numbers, uint32(number))
			continue
		}
		if init, err := readInit(filepath.Join(dir, e.Name())); err == nil {
			b.inits[uint32(number)] = init
			inits = append(inits, uint32(number))
		}
	}
	slices.Sort(inits)
	slices.Sort(numbers)
	known := readIndex(filepath.Join(dir, indexName))
	for _, number := range numbers {
		if segment, ok := b.restore(number, inits, known[number]); ok {
			b.segments = append(b.segments, segment)
			b.size += segment.Size
		}
	}
	return b, nil
}

// restore reads of a segment what there is to know.
func (b *Buffer) restore(number uint32, inits []uint32, known Segment) (Segment, bool) {
	s := Segment{Number: number, Discontinuous: known.Discontinuous, Began: known.Began}
	path := filepath.Join(b.dir, s.Name())
	f, err := readFragment(path)
	if err != nil || f.Sequence != number || len(f.Video.Samples) == 0 {
		return s, false
	}
	i, found := slices.BinarySearch(inits, number)
	if !found {
		i--
	}
	stat, err := os.Stat(path)
	if i < 0 || err != nil {
		return s, false
	}
	s.Init, s.Start, s.Duration = inits[i], int64(f.Video.Start), int64(f.Video.Duration())
	s.Key, s.Size = f.Video.Samples[0].Key, stat.Size()
	return s, true
}

func readInit(path string) (*fmp4.Init, error) {
	text, err := readSmall(path, maxInit)
	if err != nil {
		return nil, err
	}
	init, err := fmp4.ParseInit(text)
	return &init, err
}

func readIndex(path string) map[uint32]Segment {
	var list []Segment
	if text, err := readSmall(path, maxIndex); err == nil {
		_ = json.Unmarshal(text, &list) // without it pauses are not known
	}
	known := map[uint32]Segment{}
	for _, s := range list {
		known[s.Number] = s
	}
	return known
}

func readSmall(path string, limit int64) ([]byte, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if stat.Size() > limit {
		return nil, fmp4.ErrFormat
	}
	return os.ReadFile(path)
}
