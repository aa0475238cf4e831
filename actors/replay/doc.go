// Package replay records a screen share into a rolling buffer, of which clips are cut.
//
// Start has a recorder join a room unseen and write segments of a few seconds into a
// directory. A Buffer is that directory: what is in it, its HLS playlist, its files and
// clips of it. Recover opens the directory of a recorder that is gone.
//
// # Concurrency
//
// A Session and a Buffer are safe for concurrent use. A recorder has a goroutine for
// each track, and one that writes segments; the callback of Start runs on the latter,
// so that it must not wait. When the disk is too slow by some segments the recording
// fails: memory is bounded. A Clip keeps the segments it is made of until it is closed.
//
// # No encoding (2026-11)
//
// Context: LiveKit Egress encodes what it records, and needs a server, Redis and
// GStreamer for it.
//
// Decision: H.264 and Opus are stored as they come, cut at key frames, which are asked
// for when one is due. Video of another codec is refused with a CodecError. A change of
// the parameter sets, such as a window that is resized, begins another segment with an
// initialisation of its own.
//
// Consequence: a recording costs little, segments have the lengths that key frames
// allow, and every length told is the real one.
//
// # The time of a recording (2026-11)
//
// Context: a muted track has no pictures, and a player stops at a hole.
//
// Decision: times count what was recorded. A pause takes none; the segment behind it is
// marked (EXT-X-DISCONTINUITY) and tells when it began. Where pictures are lost the last
// one stays until the next key frame. Audio keeps its distance to the video by the
// sender's reports, and by arrival until there are some.
//
// # Files (2026-11)
//
// Segments get their names when they are whole. The initialisation of a segment is the
// one with the highest number that is not above its own. So the directory alone says
// what there is; index.json adds when segments began, and where pauses were.
package replay
