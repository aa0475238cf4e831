// Package mediatest makes media for tests and looks at what became of them, both with
// ffmpeg: H.264 as a byte stream and Opus in Ogg, as browsers send them and as lksdk
// reads them. Tests that need ffmpeg skip where it is missing; make test installs it.
package mediatest
