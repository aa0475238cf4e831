// Package httpapi is the HTTP edge: the routes of the operations table through
// one generic endpoint, and the few that are truly about HTTP: login sessions
// with their cookies, health, the front page, files, and the upgrade to a websocket.
//
// It owns the conventions of the REST contract: the order of processing, error
// bodies, CORS and security headers, rate limits, entity tags, body limits, and
// who the client is behind proxies.
//
// # Concurrency
//
// Handlers run on net/http's goroutines and may block on the database, on actors
// (through Config.Do, which has a deadline of its own) and on Redis (which is
// given 100 ms). The routes are compiled once and only read afterwards. Limiters
// are sharded and bounded.
//
// # What it does not do
//
// It does not import actors and knows no feature: a row of the table is all that
// a feature needs here. It does not speak websocket: an upgrade that passes the
// limits is handed on with its connection untouched.
//
// # Decisions
//
//   - A router of our own: the contract wants literals in any case, one trailing
//     slash, decoded parameters, fixed segments before parameters, and a 404 with
//     the original URL where others answer 405 (2026-11).
//   - Rate limits are kept per route and user, or per route and address for those
//     who are nobody (IPv6: the /64), in Redis when there is one, so that nodes
//     share them. When Redis fails, each node limits on its own (2026-11).
//   - Files: their bytes go to the storage while they are hashed, under a name that nobody can
//     guess; the row comes last and takes them from the quota in the same statement. So nothing is
//     ever shown that is not complete, and what a crash leaves is bytes without a row, which a
//     sweep finds. The content has to fit the type that the client gave; a picture's header is
//     read, and nothing is decoded (2026-11).
//   - Pictures are stored without what they tell about people (package picture), by the same pass:
//     checksum, size and quota are those of the stored bytes, the limits of the contract are those
//     of what was sent. What says that it is a JPEG, PNG, WebP or GIF and is none is refused as a
//     file of the wrong type, as the contract does with magic bytes. SVG, videos and documents are
//     stored as they came: taking something out of them is their editors' business (2026-11).
//   - Control characters are taken out of the headers of parts before mime/multipart sees them,
//     which would refuse the part; content is told from headers by the delimiter alone, and passes
//     as it is whenever there is doubt. A name of nothing else is no name, and what has no name is
//     no file (2026-11).
//   - Who may have a file is read from the rows of members in one statement on every request: they
//     are committed before whoever changed them is answered, and there is nothing to take back. For
//     uploads the owner of the message or community is asked (2026-11).
//   - net/http answers ranges; what RFC 9110 lets a server ignore (other units, nonsense, more than
//     16 ranges) is taken away before (2026-11).
//   - Entity tags cost one hash of a body that is in memory anyway; they are made
//     for GET only (2026-11).
package httpapi
