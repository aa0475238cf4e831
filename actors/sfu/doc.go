// Package sfu is the LiveKit server that voice and video run over: one of our own, as a
// child process, or one that somebody else runs.
//
// # One binary (2026-11)
//
// Context: voice has to work without another server being installed, and a media
// server is the part that is most likely to take all of a processor. LiveKit can be
// linked, but holds process-wide state (logger, figures) and can't be started twice.
//
// Decision: LiveKit is linked into the binary and run as a child of the same
// executable (rookery sfu). It gets its configuration on its standard input, which
// stays open: the child ends when it ends, so that it is never left behind, however
// its parent died. A child that dies is started again, later each time. The build tag
// noembedsfu leaves LiveKit out; then voice needs an external server.
//
// Consequence: a crash or a busy loop of the media server does not touch chat. Rooms
// live in one child; a cluster spreads them, and the signalling of a room is forwarded
// to the node whose child has it (see httpapi).
//
// # Codecs (2026-11)
//
// The child offers Opus and H.264 only. Browsers all have both, clients fall back to
// them on their own, and recordings that are cut without being encoded again play
// everywhere.
package sfu
