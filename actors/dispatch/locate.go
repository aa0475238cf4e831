package dispatch

import (
	"cmp"
	"context"
	"errors"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rookery-chat/rookery/protocol"
)

// errMismatch is a value that does not fit its field although no rule said so.
var errMismatch = errors.New("value does not fit the field")

// locate finds the actor that owns the state. Who asks for something
// that can't be found is told so only if he may know everything.
func (d *Dispatcher) locate(ctx context.Context, p *plan, caller protocol.Caller, cmd decoded) (protocol.Kind, string, error) {
	home := p.op.Home
	switch p.op.Key {
	case protocol.KeySingleton:
		return home, protocol.InstanceKey, nil
	case protocol.KeyCaller:
		return home, caller.UserID.String(), nil
	case protocol.KeyNew:
		return home, cmd.newID.String(), nil
	}
	key := cmd.key
	if p.op.Locate == protocol.LocatePlace && key.nullish() && !cmd.group.nullish() {
		home, key = protocol.KindDM, cmd.group
	}
	id, err := protocol.ParseID[struct{}](key.str)
	switch {
	case err != nil && oneContext[p.op.Name]: // says nothing about anything that is there
		return "", "", cmp.Or(cmd.fault, protocol.ErrOneContext)
	case err != nil:
		return "", "", p.refuse(caller, p.badKey(cmd.fault))
	case id.IsZero(): // names nothing, ever
		return "", "", p.unfound(caller, cmd.fault, nil, p.nothing())
	}
	switch p.op.Locate {
	case protocol.LocateMessage:
		in, err := find(ctx, d.messages, protocol.MessageID(id), d.cfg.DB.PlaceOfMessage)
		if err != nil || in.IsZero() {
			text := p.nothing()
			if p.op == &protocol.ReactionAdd.Operation || p.op == &protocol.ReactionRemove.Operation {
				text = "Message " + protocol.MessageID(id).String() + " not found"
			}
			return "", "", p.unfound(caller, cmd.fault, err, text)
		}
		return in.Kind(), in.ID().String(), nil
	case protocol.LocateChannel:
		community, err := find(ctx, d.channels, protocol.ChannelID(id), d.cfg.DB.CommunityOfChannel)
		if err != nil || community.IsZero() {
			return "", "", p.unfound(caller, cmd.fault, err, notFound[protocol.ResourceChannel])
		}
		return home, community.String(), nil
	case protocol.LocateAlias:
		community, err := find(ctx, d.aliases, protocol.AliasGroupID(id), d.cfg.DB.CommunityOfAlias)
		if err != nil || community.IsZero() {
			return "", "", p.unfound(caller, cmd.fault, err, notFound[protocol.ResourceAliasGroup])
		}
		return home, community.String(), nil
	default:
		return home, id.String(), d.exists(ctx, p, home, caller, cmd, protocol.AnyID(id))
	}
}

// exists keeps ids that name nothing from activating actors: each would take a
// lease, which stays.
func (d *Dispatcher) exists(ctx context.Context, p *plan, home protocol.Kind, caller protocol.Caller, cmd decoded, id protocol.AnyID) error {
	var err error
	switch home {
	case protocol.KindChannel:
		_, err = find(ctx, d.channels, protocol.ChannelID(id), d.cfg.DB.CommunityOfChannel)
	case protocol.KindDM:
		_, err = find(ctx, d.groups, protocol.GroupID(id), d.cfg.DB.KnownGroup)
	case protocol.KindCommunity:
		_, err = find(ctx, d.communities, protocol.CommunityID(id), d.cfg.DB.KnownCommunity)
	default: // clients choose by id only among these
	}
	if err != nil {
		return p.unfound(caller, cmd.fault, err, p.nothing())
	}
	return nil
}

// nothing is what is said of a key that names nothing.
func (p *plan) nothing() string {
	if text := unfoundTexts[p.op.Name]; text != "" {
		return text
	}
	return notFound[p.op.Resource]
}

// unfoundTexts are the rows that speak of what they were to find there.
var unfoundTexts = map[string]string{
	protocol.MemberAdd.Name:    "User or community not found",
	protocol.MemberRemove.Name: "Membership not found",
	protocol.MemberLeave.Name:  "Membership not found",
	protocol.MemberGet.Name:    "Membership not found",

	protocol.CommunityRemove.Name:    "Community not found",
	protocol.ChannelMemberLeave.Name: "Channel not found",
	protocol.ChannelMoveUp.Name:      "Channel not found",
	protocol.ChannelMoveDown.Name:    "Channel not found",

	protocol.ThreadReply.Name:     "Parent message not found",
	protocol.ThreadList.Name:      "Parent message not found",
	protocol.ThreadSubscribe.Name: "Parent message not found",
}

// oneContext are the rows that name a channel or a group, and say so when they
// name neither.
var oneContext = map[string]bool{
	protocol.ReceiptMark.Name: true, protocol.ReceiptCount.Name: true, protocol.ReceiptLast.Name: true, protocol.ReceiptReaders.Name: true,
}

// unknownTold are the rows that tell everybody of a key that names nothing.
var unknownTold = map[string]bool{
	protocol.NotificationOverrideGet.Name: true, protocol.NotificationOverrideSet.Name: true, protocol.NotificationOverrideDelete.Name: true,
}

// refusals are the rows that have a text of their own for who may not.
var refusals = map[string]*protocol.Error{
	protocol.ReceiptPeers.Name: protocol.ErrNotInGroup,
}

// notFound is what owners are told of what is not there.
var notFound = map[protocol.Resource]string{
	protocol.ResourceCommunity:  "Community not found",
	protocol.ResourceChannel:    "Channel not found",
	protocol.ResourceMessage:    "Message not found",
	protocol.ResourceAliasGroup: "Alias group not found",
	protocol.ResourceGroup:      "DM group not found",
}

// badKey is why a request that names no actor is not valid.
func (p *plan) badKey(fault *protocol.Error) *protocol.Error {
	if fault != nil {
		return fault
	}
	name := p.fields[p.key].name
	return protocol.Invalid([]protocol.FieldError{{Field: name, Rule: "isUuid", Message: name + " must be a UUID"}})
}

func (p *plan) unfound(caller protocol.Caller, fault *protocol.Error, err error, text string) error {
	var known *protocol.Error
	if err != nil && (!errors.As(err, &known) || known.Code != protocol.CodeNotFound) {
		return err
	}
	if unknownTold[p.op.Name] {
		return cmp.Or(fault, protocol.NotFound(text))
	}
	if fault != nil {
		return p.refuse(caller, fault)
	}
	return p.refuse(caller, protocol.NotFound(text))
}

// refuse tells why to those whom no permission check could refuse, and only
// "forbidden" to everybody else.
func (p *plan) refuse(caller protocol.Caller, why *protocol.Error) error {
	if !permitted(p.op, caller) {
		return protocol.ErrForbidden
	}
	return why
}

// find looks up where something lives. What is not found is not remembered: it
// may be created in the next moment.
func find[K, V interface {
	comparable
	IsZero() bool
}](ctx context.Context, cache *lru.Cache[K, V], key K, load func(context.Context, K) (V, error)) (V, error) {
	if v, ok := cache.Get(key); ok {
		return v, nil
	}
	v, err := load(ctx, key)
	if err == nil && !v.IsZero() {
		cache.Add(key, v)
	}
	return v, err
}
