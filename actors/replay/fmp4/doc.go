// Package fmp4 is the container of the replay buffer: fragments of H.264 and Opus that
// are recorded without being encoded again, and MP4 files that are cut from them.
//
// A recording is an initialisation segment (Init) and media segments (WriteSegment,
// ReadFragment), which are what HLS plays. A Clip is an ordinary MP4 file of a part of
// it, with its index in front. Video counts in 1/90000 s, audio in 1/48000 s, as RTP
// does. Pictures are shown in the order in which they come, which real-time senders
// grant.
//
// # Concurrency
//
// Nothing here starts a goroutine. Values are for one goroutine at a time.
//
// # Container code of our own (2026-11)
//
// Context: what is needed of ISO 14496-12 is a dozen boxes, for two codecs, written by
// ourselves and read back by ourselves.
//
// Decision: they are written here, with the standard library; only the RTP payload of
// H.264 is taken apart by pion/rtp. The libraries of the field do far more than that,
// and could not be had at a version to pin.
//
// Consequence: no other file than our own is understood, and whatever is not as we
// write it is refused. Readers are fuzzed: sizes in a file never decide how much memory
// is taken, the file's length does.
//
// # Exact starts (2026-11)
//
// Context: a clip starts where somebody says, which is seldom a key frame.
//
// Decision: the pictures from the key frame on are in the file, and an edit list has
// players begin at the asked one. Audio begins 80 ms early, which Opus needs to
// converge, and is cut by an edit list as well; audio that comes late has an empty edit
// before it. A change of the picture's size is another sample description.
//
// Consequence: clips are exact to the frame, and cutting one costs the copying of its
// bytes. A player that ignores edit lists shows up to some seconds more.
package fmp4
