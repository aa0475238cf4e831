// Package rules is the pure part of the domain: which rights the default roles
// give, who outranks whom and what he may give away, who may edit or delete
// what, how long slow mode and timeouts hold, and what a well-formed message is.
//
// Everything is a function of its arguments. Time is an argument, nothing is
// looked up, and the only import is protocol; so a rule is tested with a table.
//
// # Concurrency
//
// Functions only; safe from any goroutine. Returned slices belong to the caller.
//
// # What it does not do
//
// It does not know who is a member of what: actors resolve that and pass
// ActionSets. It does not know about storage, events or texts of other errors
// than those of its own rules.
//
// # Decisions
//
//   - The default roles keep their actions as ordered lists, not as sets: the
//     stored order reaches clients (2026-11).
//   - Spans are normalised in one place, for sends and edits alike: unknown types,
//     ids that are not UUIDs and text that Postgres could not store are refused
//     with a field error instead of failing the insert (2026-11).
package rules
