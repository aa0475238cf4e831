package httpapi

import (
	"slices"
	"strings"
)

// isDesktop recognises the desktop client, which gets refresh tokens in bodies.
func isDesktop(agent string) bool { return strings.Contains(agent, "Electron") }

// naming is a test on the lower-case User-Agent and the name it leads to.
type naming struct {
	marks []string
	name  string
}

var (
	desktopSystems = []naming{{[]string{"windows"}, " (Windows)"}, {[]string{"mac"}, " (macOS)"}, {[]string{"linux"}, " (Linux)"}}
	browsers       = []naming{
		{[]string{"edg/"}, "Edge"}, {[]string{"chrome"}, "Chrome"}, {[]string{"firefox"}, "Firefox"},
		{[]string{"safari"}, "Safari"}, {[]string{"opera", "opr"}, "Opera"},
	}
	systems = []naming{
		{[]string{"windows"}, "Windows"}, {[]string{"mac os"}, "macOS"}, {[]string{"linux"}, "Linux"}, {[]string{"cros"}, "Chrome OS"},
	}
	androids = []naming{{[]string{"chrome"}, "Chrome on Android"}, {[]string{"firefox"}, "Firefox on Android"}}
)

// deviceName is what a login is called in the list of sessions (contract a-auth 4).
func deviceName(agent string) string {
	a := strings.ToLower(agent)
	switch {
	case a == "":
		return "Unknown Device"
	case strings.Contains(a, "electron"):
		return "Semaphore Chat Desktop" + firstName(a, desktopSystems, "")
	case strings.Contains(a, "iphone"):
		return "Safari on iPhone"
	case strings.Contains(a, "ipad"):
		return "Safari on iPad"
	case strings.Contains(a, "android"):
		return firstName(a, androids, "Browser on Android")
	}
	name := firstName(a, browsers, "Browser")
	if system := firstName(a, systems, ""); system != "" {
		name += " on " + system
	}
	return name
}

func firstName(agent string, list []naming, otherwise string) string {
	for _, n := range list {
		if slices.ContainsFunc(n.marks, func(mark string) bool { return strings.Contains(agent, mark) }) {
			return n.name
		}
	}
	return otherwise
}
