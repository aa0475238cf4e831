// Package jobs runs scheduled work once in the cluster: clean-up and recounts that no request
// waits for.
//
// A Chore is a name, a schedule in the server's local time and a function that does one bounded
// step. Chores lists those of the server; Start brings them to life on a node. riverqueue/river
// keeps the queue in the same Postgres, in a schema of its own that Migrate makes.
//
// # How a chore runs once
//
// Every node has the same chores. The one that river has elected puts a job into the queue when a
// chore is due, with the due time in its arguments; the queue holds at most one job of a chore for
// a due time, also after it is done. So a change of the leader, a clock that is ahead or a restart
// add nothing, and what was due while no node ran is made up for when the first one starts. Any
// node may work a job. One that stops puts its job back; one that dies loses it to another as soon
// as the job has been running for longer than any may. A step must therefore be safe to repeat.
//
// A chore with more to do than a short while allows gives way and goes on later, so that chores
// don't wait for each other for long.
//
// # Concurrency
//
// Runner is safe for concurrent use. Chores run on a few goroutines of river's, at most
// workers at a time, and use the pool of the DB. Actors are never called and never wait. Stop
// cancels the context of what runs; a step has to heed it.
//
// # What it does not do
//
// It decides nothing: what a chore deletes or counts is SQL of package persistence. It is not for
// work that a user waits for.
//
// # Decisions
//
//   - Unique due times instead of a cluster-wide lock around each run: a lock says who runs now,
//     not whether it has been done (2026-11).
//   - Pictures of videos are jobs in a queue that only nodes with ffmpeg work, one at a time. The
//     program may read local files of a few containers only, and is bounded in time, memory and
//     output; what it can't read has no picture (2026-11).
//   - A sweep queues videos that have none every minute: an upload's own job may be lost, or the
//     node that took the upload has no ffmpeg. Tries are counted in the file's row before they begin,
//     five at most, so that what kills the program or the node ends (2026-11).
//   - A schema of its own: river's tables are migrated by river, after and apart from ours, under
//     the same advisory lock (2026-11).
//   - What river logs is shown as warnings at most: its trouble is that of the database, which is
//     told elsewhere. The failure of a chore is an error (2026-11).
package jobs
