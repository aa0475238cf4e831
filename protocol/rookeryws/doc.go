// Package rookeryws frames the native websocket protocol, version 1: it reads
// the requests of clients and writes replies, events and session frames. It
// also names the close codes. What follows is the whole protocol as a client
// sees it; a test compares it with the code.
//
// # Connection
//
// GET /ws with the subprotocol rookery.v1.json or none. Text frames, one JSON
// object each, UTF-8, at most 65536 bytes towards the server. The first frame is
// hello, within 10 seconds. The server pings about every 30 seconds; a client may
// send {"op":"ping"} and gets {"ev":"pong"}. An Origin header must be allowed as
// for CORS. Who connects too often, or has failed to log in too often, is refused
// at the upgrade with 429 and Retry-After.
//
//	C {"op":"hello","d":{"token":"..","mode":"all","client":{"name":"x","version":"1"}}}
//	S {"ev":"ready","d":{"session":"s_..","user":{},"communities":[{"id":"..","name":"..","unread":3,"mentions":1}],
//	   "dms":[{"id":"..","unread":3,"mentions":1}],"resumeMs":120000,"heartbeatMs":30000,
//	   "limits":{"frameBytes":65536,"frames":120,"frameWindowMs":10000}}}
//
// The figures are those of receipt.counts, added up by community; of one channel
// or group at most 100 messages count. They are taken when the session hears its
// rooms already: what comes in that moment may be counted and heard. With
// "figures":false in the hello they are not taken, and absent.
//
// # Requests
//
//	C {"id":7,"op":"message.send","d":{"channelId":"..","spans":[],"nonce":"c-1"}}
//	S {"id":7,"ok":{"id":"..","seq":42,"sentAt":".."}}
//	S {"id":7,"err":{"code":"slow_mode","status":403,"message":"..","retryAfterMs":1800,"fields":{"spans":[".."]}}}
//
// The op is a name of the operations table, d its path, query and body fields
// together, ok the body of the REST answer, err.status the status of the same
// failure by REST. The id is the client's, from 1 to 2^53-1; without one there is
// no reply. Replies come in any order; requests about one channel are executed
// in the order sent. What is asked before ready is answered after it. The same
// nonce of the same user within ten minutes returns the first message.
//
// Every row of the table can be called, but for file.upload, file.get,
// file.thumbnail and account.export: these are streams of bytes, which would hold
// up everything behind them, and are done over HTTP (file.signedUrl gives a link
// that needs no header). The rest answers as REST does, except:
//
//	message.send, dm.send, thread.reply
//	                            ok is {"id","seq","sentAt"}: the message itself comes as event
//	presence.bulk               who asks over a socket is online himself
//	session.login, session.refresh, account.password
//	                            there are no cookies: the refresh token is asked for and given in
//	                            the body, as with desktop clients; the socket stays who it is
//	session.logout, account.delete
//	                            may end the socket with 4004 before they are answered
//	session.list, session.revokeOthers
//	                            the current login is the one of the hello
//	account.resetLink           the url is a path: the client knows where the server is
//
// Operations with limits of their own (logins, registration, passwords) share
// them with REST.
//
// Operations of the session itself:
//
//	hello            the first frame
//	ping             answered with pong
//	ack              {"op":"ack","n":4712}: processed up to event 4712; every 100 events or 10 s
//	focus            {"channels":["<id>"],"community":"<id>"}: what the client looks at, at most 20 channels
//	typing.start     {"channelId":"<id>"} or {"directMessageGroupId":"<id>"}
//	typing.stop      the same
//	presence.online  {"idle":false}
//	member.window    {"communityId":"<id>","after":"","count":50}: see Windows
//
// # Events
//
//	S {"n":4712,"ev":"newMessage","ch":"channel:<id>","ep":3,"seq":42,"rev":17,"d":{"message":{}}}
//	S {"n":4713,"ev":"reactionAdded","ch":"channel:<id>","ep":3,"rev":18,"d":{}}
//
// n counts the events of the session, from 1 and without a gap. ch names the
// stream of the event, ep the epoch of its owner, seq the place: seq counts the
// messages and thread replies of a conversation. A gap in seq, or a new ep, tells
// the client to fetch message.list behind its last seq. What happens to messages
// (edits, deletions, reactions, pins, threads) has no seq, but a rev, which counts up
// within one ep; rev on a message is the one of the last change before it, absent
// when there was none in this ep. What is noise (typing, who has read what) has no
// place.
//
// In mode "all" the session hears every room of its user. In mode "focused" it
// hears the channels in focus, direct messages, its user's own events, and those
// of its communities (who is online only of the community in focus). Of every
// other channel it is told at most once a second what it has not been shown:
//
//	S {"n":8,"ev":"unread","ch":"channel:<id>","d":{"lastSeq":90,"unread":3,"mentions":1}}
//
// Typing is heard in mode "all", and in "focused" for the channels in focus.
//
// # Windows
//
// member.window is answered like member.list, with at most 100 members behind the
// place that after names. From then on, until the socket ends or count 0 closes
// the window, changes of its rows come at most once a second, and with them how
// many members are online. These have no n: after resuming a client opens its
// windows again. In communities so large that nobody is told who comes and goes, a
// window is told so of its rows: about every two seconds who came and went since the
// last time; the first time everybody who is online came.
//
//	S {"ev":"memberWindow","d":{"communityId":"<id>","count":50,"rows":[{"index":3,"row":{}}]}}
//	S {"ev":"presence.window","d":{"communityId":"<id>","online":["<id>"],"offline":["<id>"]}}
//	S {"ev":"presence.count","d":{"communityId":"<id>","online":7}}
//
// # Resuming
//
//	C {"op":"hello","d":{"token":"..","resume":{"session":"s_..","n":4711,"at":{"channel:<id>":[3,42,18]}}}}
//	S {"ev":"resumed","d":{"session":"s_..","replayed":17}}
//
// The missed events come right after resumed, in order, exactly once; n goes on.
// The session may have another name from then on. It may be resumed on any node,
// by the same login of the same user. The old socket, if there still is one, is
// closed.
//
// When the session is gone with its node, what came behind the places in at (at
// most 1000) is collected from the owners of the conversations. A place is the last
// ep, the highest seq and the last rev (0: none in this ep) that the client has seen
// of a stream. Then the first event is what the owners don't know:
//
//	S {"n":4712,"ev":"gap","d":{"messages":["channel:<id>"],"changes":["channel:<id>"],"others":true}}
//
// Of a stream in messages anything may be missing. Of one in changes every message
// comes, as it is now, but what happened to older ones since may be missing: its owner
// died too, or the client is too far behind. Of every other stream in at all comes, in
// order and once (a place [ep, seq] without rev may bring changes a second time; each
// tells how things are, so that this does no harm). Others is everything that at did
// not name: conversations, communities, the user's own things. Of what is named in a
// gap the client fetches what it shows, and forgets what it keeps; nothing else is
// missing. Owners keep their last 128 messages, and 128 changes or 64 KiB of them of
// the last five minutes.
//
// When none of this is possible:
//
//	S {"ev":"reset","d":{"reason":"expired"}}
//
// then ready: the client fetches afresh and n begins at 1. The reasons are
// expired, overflow (too much was missed) and unknown.
//
// # Closing
//
//	1001  going away; reconnect and resume
//	4000  going away; the reason is {"retryAfterMs":1200}: reconnect then and resume
//	4001  no hello; reconnect
//	4003  token missing, invalid or expired; reconnect after a refresh
//	4004  session revoked, user banned or deleted; do not reconnect
//	4008  too many frames; reconnect with back-off
//	4009  frame too large or not understood; fix, then reconnect
//	4010  too slow a reader; reconnect and resume
//	4011  session resumed elsewhere; do not reconnect
//	4012  cannot serve now; reconnect with back-off
//
// # Concurrency
//
// Pure functions over byte slices. Request.D shares memory with its input:
// copy what must outlive it.
//
// # What it does not do
//
// It reads no websocket frames and keeps no session. What an operation does, who
// may call it and in what order requests run is decided elsewhere.
//
// # Decisions
//
//   - "n" stands first in an event, so that everything after it is the same for
//     every receiver and is encoded once (AppendEventHead, AppendEventTail).
//     Members of a JSON object have no order, so clients do not notice (2026-11).
//   - Frames are read strictly: numbers are plain integers below 2^53, "d" is an
//     object, nothing follows the object. Members that are not known are
//     skipped, so that clients may be newer than the server (2026-11).
package rookeryws
