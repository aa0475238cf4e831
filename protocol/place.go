package protocol

// Place is where a conversation is: in a channel or in a direct message group.
// Exactly one of the two is set; the zero Place is nowhere.
type Place struct {
	Channel ChannelID `json:"c"`
	Group   GroupID   `json:"g"`
}

// InChannel is the place of a channel.
func InChannel(id ChannelID) Place { return Place{Channel: id} }

// InGroup is the place of a direct message group.
func InGroup(id GroupID) Place { return Place{Group: id} }

// IsZero reports whether the place is nowhere.
func (p Place) IsZero() bool { return p == Place{} }

// ID is the id of the channel or group.
func (p Place) ID() AnyID {
	if !p.Group.IsZero() {
		return AnyID(p.Group)
	}
	return AnyID(p.Channel)
}

// Kind is the kind of actor that owns what is said there.
func (p Place) Kind() Kind {
	if !p.Group.IsZero() {
		return KindDM
	}
	return KindChannel
}

// Topic is the room of those who hear it.
func (p Place) Topic() Topic {
	if !p.Group.IsZero() {
		return GroupTopic(p.Group)
	}
	return ChannelTopic(p.Channel)
}

// Place is where the message is.
func (m *Message) Place() (p Place) {
	if m.ChannelID != nil {
		p.Channel = *m.ChannelID
	}
	if m.DirectMessageGroupID != nil {
		p.Group = *m.DirectMessageGroupID
	}
	return p
}

// String is the form of the native protocol: channel:<uuid> or dm:<uuid>.
func (p Place) String() string { return p.Topic().String() }
