package protocol

import (
	"fmt"
	"reflect"
	"sort"
)

// Kind names a kind of actor, or the edge.
type Kind string

// The homes of operations.
const (
	KindEdge      Kind = "edge" // answered where the request arrives: sessions, cold reads of one's own rows
	KindInstance  Kind = "instance"
	KindUser      Kind = "user"
	KindCommunity Kind = "community"
	KindChannel   Kind = "channel"
	KindDM        Kind = "dm"
)

// InstanceKey is the id of the one instance actor.
const InstanceKey = "instance"

// Key tells which field of a request names the actor.
type Key string

// Keys that are not fields.
const (
	KeyCaller    Key = "@caller"    // the caller's own user actor
	KeySingleton Key = "@singleton" // the instance actor
	KeyNew       Key = "@new"       // an id made for this request
)

// Locator tells how the value of the key field leads to the actor.
type Locator uint8

// Locators. The mappings never change, so edges cache them.
const (
	LocateDirect  Locator = iota // the field is the actor's id
	LocateMessage                // a message id: its channel or direct message group
	LocateChannel                // a channel id: its community
	LocateAlias                  // an alias group's id: its community
	LocatePlace                  // a channel id or, without one, the directMessageGroupId of the request
)

// Resource is the kind of thing that a permission is checked on.
type Resource uint8

// Resources, after the contract's resolution rules.
const (
	ResourceNone Resource = iota
	ResourceInstance
	ResourceCommunity
	ResourceChannel
	ResourceMessage
	ResourceAliasGroup
	ResourceGroup // of direct messages: membership is enough, actions don't count, and owners of the instance are no exception
)

// RateClass names a set of HTTP limits.
type RateClass uint8

// Rate classes of the contract.
const (
	RateDefault RateClass = iota
	RateLogin
	RateLogout
	RateRegister
	RateSetup
	RateInvite
	RateExempt

	// Beyond the contract.
	RatePassword // the own password has to be given
	RateReset    // a reset link is used
	RateExport
)

// EventGroup names a throttle group of Socket.IO events.
type EventGroup uint8

// Throttle groups; each has its own counter.
const (
	GroupMessages EventGroup = iota
	GroupRooms
	GroupPresence
	GroupThreads
	GroupReceipts

	EventGroups = iota // how many there are
)

// Operation is one row of the table.
type Operation struct {
	Name   string // noun.verb, the op of the native websocket
	Method string // of REST; empty: no REST form
	Path   string // under the root, parameters as {name}
	Event  string // Socket.IO event; empty: no such form
	Group  EventGroup
	Acks   bool // the Socket.IO form acks its reply

	// AcksErrors says that the Socket.IO form acks {"error":"text"} beside the
	// exception: clients wait for it.
	AcksErrors bool

	Home   Kind // with LocateMessage and LocatePlace it may turn out to be KindDM instead of KindChannel
	Key    Key
	Locate Locator

	Public     bool     // no token needed
	RESTOnly   bool     // not over sockets: its body or its answer is a stream of bytes, no JSON
	Permission Action   // zero: any user
	Resource   Resource // what Permission is checked on

	Debug  bool // there only when the operator wants it, and for owners of the instance only
	Rate   RateClass
	Status int // of success; zero: 201 for POST, 200 otherwise

	// Shows is the type of the body that clients get, where the owner's reply is
	// only leave to read; nil: the reply's.
	Shows reflect.Type

	Multipart string // the body is multipart/form-data with a file in this part
	Serves    string // media type of the body, where it is not JSON

	request reflect.Type
	reply   reflect.Type
	command reflect.Type
}

// Request is the type that the row's input is decoded into.
func (o *Operation) Request() reflect.Type { return o.request }

// Reply is the type of the answer's body; struct{} when there is none.
func (o *Operation) Reply() reflect.Type { return o.reply }

// Body is the type of the body that clients get; struct{} when there is none.
func (o *Operation) Body() reflect.Type {
	switch {
	case o.Shows != nil:
		return o.Shows
	case o.reply == reflect.TypeFor[Done]():
		return reflect.TypeFor[None]()
	default:
		return o.reply
	}
}

// Command is the type that reaches the actor: Command[Request].
func (o *Operation) Command() reflect.Type { return o.command }

// SuccessStatus is the HTTP status of success.
func (o *Operation) SuccessStatus() int {
	switch {
	case o.Status != 0:
		return o.Status
	case o.Method == "POST":
		return 201
	default:
		return 200
	}
}

// Op is a row with its types, the handle by which handlers are registered.
type Op[Req, Rep any] struct{ Operation }

// Command is a request on its way from an edge to the actor that owns the state.
type Command[Req any] struct {
	Caller  Caller
	Req     Req
	Invalid *Error // the request is not valid; told only to those who have the permission
}

// AnyCommand is what the loop needs of a Command without knowing its request.
type AnyCommand interface {
	By() Caller
	Fault() *Error
}

// By returns who sends the command.
func (c *Command[Req]) By() Caller { return c.Caller }

// Fault returns why the request is not valid, or nil.
func (c *Command[Req]) Fault() *Error { return c.Invalid }

// None is the request or reply without content.
type None struct{}

var (
	table     []*Operation
	wireTypes = map[string]reflect.Type{}
)

// Define adds a row to the table. It is called by package variables only.
func Define[Req, Rep any](o Operation) *Op[Req, Rep] {
	o.request = reflect.TypeFor[Req]()
	o.reply = reflect.TypeFor[Rep]()
	o.command = reflect.TypeFor[Command[Req]]()
	op := &Op[Req, Rep]{o}
	table = append(table, &op.Operation)
	wire("op/"+o.Name, op.command)
	wire("re/"+o.Name, op.reply)
	return op
}

// wired declares a type that actors send each other across nodes under a
// stable name. It is called by package variables only.
func wired[T any](name string) string {
	wire(name, reflect.TypeFor[T]())
	return name
}

func wire(name string, t reflect.Type) {
	for n, other := range wireTypes {
		if other == t {
			return // several rows share a reply type: the first name stands
		} else if n == name {
			panic(fmt.Sprintf("protocol: %s names %v and %v", name, other, t))
		}
	}
	wireTypes[name] = t
}

// WireTypes lists every type that may cross nodes, by its name on the wire.
// Values travel as pointers to these types.
func WireTypes() map[string]reflect.Type { return wireTypes }

// Operations is the whole table, ordered by name.
func Operations() []*Operation {
	all := append([]*Operation(nil), table...)
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}
