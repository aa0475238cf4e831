package persistence

// Full reports whether the queue is at one of its bounds. It is for those who
// must know before they change anything; Enqueue has the last word.
func (w *Writer) Full() bool {
	return w.rows.Load() >= int64(w.cfg.MaxRows) || w.bytes.Load() >= int64(w.cfg.MaxBytes)
}
