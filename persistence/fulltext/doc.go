// Package fulltext knows what of a text can be searched for: how it is folded, which terms it has,
// when it answers a query, and how the terms of a few thousand texts are packed.
//
// It works for every script. Words of alphabets have the trigrams of their letters as terms, with
// marks where they begin and end; scripts without spaces, and signs such as emoji, have single
// characters and pairs. Terms are hashes: an index of them may name a text that does not match,
// so whoever finds one there looks at the text (Query.Match).
//
// # Concurrency
//
// Functions and values that nobody changes are safe for concurrent use; a Builder is not.
//
// # What it does not do
//
// It knows no database and no message. Of languages it knows only English, and of that little
// (english.go).
//
// # Decisions
//
//   - A query is all of its words. A text in which each of them is a whole word is better than one
//     that has only parts of words; within both the newest is first. That is what clients of the
//     contract get, and more behind it (2026-11).
//   - A word of a query may be another form of an English word, and words that say nothing are left
//     out: the contract's search does both. It only adds to what is found (2026-11).
//   - One or two letters of an alphabet find beginnings of words only: as parts of words they would
//     find nearly everything (2026-11).
//   - Accents of Latin, Greek and Cyrillic letters, vowel signs of Arabic and Hebrew, width and
//     case do not count (2026-11).
//   - Terms are packed by us instead of a GIN index: that costs about a hundred entries for a
//     message, on the processors that senders want, and has to collect every message with a common
//     word before it can tell which are the newest (2026-11).
package fulltext
