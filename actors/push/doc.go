// Package push sends notifications to browsers: Web Push (RFC 8030), encrypted
// for the browser (RFC 8291) and signed with the keys of the instance (RFC 8292).
//
// # Concurrency
//
// A Sender is safe for concurrent use; its calls wait for push services.
//
// # What it does not do
//
// It does not decide who is notified (package notice), and it keeps no queue:
// deliveries are jobs, which call Deliver and try again when it fails.
//
// # Decisions
//
//   - Endpoints are chosen by users, so they are requests that users make this
//     server send. Only https, no redirects, no proxy, and the address is judged when
//     it is dialled, after the name was resolved: a name that resolves to something
//     else the second time gains nothing (2026-11).
//   - SherClockHolmes/webpush-go does the cryptography: small, used by many, and it
//     takes our HTTP client (2026-11).
//   - A job knows the ids of a notification and of a subscription and nothing else:
//     the text is read when it is sent, and nothing is sent of what was deleted, or of
//     what the user may not read any more (2026-11).
package push
