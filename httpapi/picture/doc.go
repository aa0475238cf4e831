// Package picture takes out of pictures what they tell about people beside what is
// to be seen: where and when they were taken, with which device, by whom, small
// copies from before they were cropped.
//
// It owns the containers of JPEG, PNG, WebP and GIF: which of their parts stay. It
// does not decode, so nothing of what is seen changes, and it does not know what a
// picture is for.
//
// # Concurrency
//
// A Reader is for one goroutine. It reads forwards only and holds one part of at
// most 64 KiB, however large the picture is.
//
// # Decisions
//
//   - Own code. The packages that could be had read metadata and do not write, and
//     encoding anew loses quality. The containers are lists of parts with a length;
//     that is all that is needed (2026-11).
//   - Parts are kept by a list of those that show something, colour profiles among
//     them; what is not listed goes. What lies behind the end goes too: phones put
//     further pictures with their own metadata there (2026-11).
//   - Of EXIF the orientation stays, in a block that holds nothing else, because
//     without it pictures would lie on their side (2026-11).
//   - WebP says at its beginning how long it is. What goes is overwritten with zeros
//     in place, as a chunk that readers skip: the beginning is stored before the
//     metadata comes (2026-11).
//   - What ends too early is passed on as far as it goes: whether it is a picture is
//     for whoever reads its header to say. What is no such container at all is
//     ErrFormat (2026-11).
package picture
