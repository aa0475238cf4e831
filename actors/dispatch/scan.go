package dispatch

import "encoding/json"

// cursor walks over the members of an object or the elements of an array without
// copying them. The text must be well-formed JSON; of other text it makes
// nonsense, but no harm.
type cursor struct {
	b []byte
	i int
}

// enter starts inside the brackets of a value.
func enter(raw []byte) cursor { return cursor{raw, 1} }

// next skips white space and commas; false at the closing bracket.
func (c *cursor) next() bool {
	for ; c.i < len(c.b); c.i++ {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r', ',', ':':
		case '}', ']':
			return false
		default:
			return true
		}
	}
	return false
}

// element is the next element of an array.
func (c *cursor) element() (json.RawMessage, bool) {
	if !c.next() {
		return nil, false
	}
	from := c.i
	c.skip()
	return c.b[from:c.i], true
}

// member is the next member of an object.
func (c *cursor) member() (key []byte, v json.RawMessage, ok bool) {
	quoted, ok := c.element()
	if !ok || len(quoted) < 2 || quoted[0] != '"' {
		return nil, nil, false
	}
	key = quoted[1 : len(quoted)-1]
	for _, b := range key {
		if b == '\\' || b >= 0x80 {
			key = []byte(unquote(quoted))
			break
		}
	}
	v, ok = c.element()
	return key, v, ok
}

// skip moves behind the value that starts here.
func (c *cursor) skip() {
	switch c.b[c.i] {
	case '"':
		c.skipText()
	case '{', '[':
		c.skipNested()
	default:
		for c.i++; c.i < len(c.b); c.i++ {
			switch c.b[c.i] {
			case ' ', '\t', '\n', '\r', ',', ':', '}', ']':
				return
			}
		}
	}
}

func (c *cursor) skipText() {
	for c.i++; c.i < len(c.b); c.i++ {
		switch c.b[c.i] {
		case '\\':
			c.i++
		case '"':
			c.i++
			return
		}
	}
	c.i = len(c.b)
}

func (c *cursor) skipNested() {
	for depth := 0; c.i < len(c.b); {
		switch c.b[c.i] {
		case '"':
			c.skipText()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				c.i++
				return
			}
		}
		c.i++
	}
}

// elements are all elements of an array.
func elements(raw []byte) []json.RawMessage {
	list := []json.RawMessage{}
	for c := enter(raw); ; {
		v, ok := c.element()
		if !ok {
			return list
		}
		list = append(list, v)
	}
}
