package protocol

import "strings"

// SplitRules splits the rule tag of a field at commas that have no backslash
// before them.
func SplitRules(tag string) []string {
	var items []string
	var item strings.Builder
	for i := 0; i < len(tag); i++ {
		switch {
		case tag[i] == '\\' && i+1 < len(tag) && tag[i+1] == ',':
			item.WriteByte(',')
			i++
		case tag[i] == ',':
			items = append(items, item.String())
			item.Reset()
		default:
			item.WriteByte(tag[i])
		}
	}
	if item.Len() > 0 {
		items = append(items, item.String())
	}
	return items
}
