package cluster

// TellNodes sends msg to the actor of this name on the nodes with these ids, at
// most once each. On this node it gets msg itself; for the others it is encoded
// once. Ids that are not members any more are counted as dropped.
func (n *Node) TellNodes(ids []string, name string, msg any) {
	view := n.topology.Load().view
	out := outgoing{value: msg}
	for _, id := range ids {
		if id == view.self {
			n.tellNamed(name, msg)
			continue
		}
		m := view.find(id)
		if m == nil {
			n.dropped(name, lost)
			continue
		}
		n.tell(m, identity{id: name}, &out)
	}
}
