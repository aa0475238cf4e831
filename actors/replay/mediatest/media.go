package mediatest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Rate is how many pictures a second has.
const Rate = 25

// Need skips a test where ffmpeg is missing.
func Need(t testing.TB) {
	t.Helper()
	for _, name := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// Video makes a file of H.264 in Annex B: no two pictures are the same.
func Video(t testing.TB, seconds, width, height int) string {
	t.Helper()
	Need(t)
	path := filepath.Join(t.TempDir(), fmt.Sprintf("%dx%d.h264", width, height))
	Run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=%d:duration=%d", width, height, Rate, seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
		"-threads", "1", "-bf", "0", "-g", fmt.Sprint(Rate), "-keyint_min", fmt.Sprint(Rate), "-b:v", "1M", "-bsf:v", "h264_mp4toannexb", "-f", "h264", path)
	return path
}

// Audio makes a file of Opus in Ogg, a packet to a page.
func Audio(t testing.TB, seconds int) string {
	t.Helper()
	Need(t)
	path := filepath.Join(t.TempDir(), "tone.ogg")
	Run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=48000:duration=%d", seconds),
		"-ac", "2", "-c:a", "libopus", "-b:a", "64k", "-page_duration", "20000", path)
	return path
}

// Run runs a program that has to succeed without a complaint, and returns what it says.
func Run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return out
}

// Sums decodes all pictures of a file or playlist, without a warning, and returns what
// distinguishes each.
func Sums(t testing.TB, path string, input ...string) (sums []string) {
	t.Helper()
	args := append([]string{"-v", "warning", "-threads", "1"}, input...)
	args = append(args, "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	for line := range strings.Lines(string(Run(t, "ffmpeg", args...))) {
		if !strings.HasPrefix(line, "#") {
			fields := strings.Split(strings.TrimSpace(line), ",")
			sums = append(sums, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return sums
}

// Decode decodes all that is in a file, without a warning.
func Decode(t testing.TB, path string, input ...string) {
	t.Helper()
	args := append([]string{"-v", "warning", "-threads", "1"}, input...)
	Run(t, "ffmpeg", append(args, "-i", path, "-f", "null", "-")...)
}

// Probed is what ffprobe tells of a file.
type Probed struct {
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
	Streams []struct {
		Codec    string `json:"codec_name"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Rate     string `json:"sample_rate"`
		Channels int    `json:"channels"`
		Start    string `json:"start_time"`
		Duration string `json:"duration"`
	} `json:"streams"`
}

// Probe asks ffprobe.
func Probe(t testing.TB, path string) (p Probed) {
	t.Helper()
	if err := json.Unmarshal(Run(t, "ffprobe", "-v", "warning", "-of", "json", "-show_format", "-show_streams", path), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// Write makes a file.
func Write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
