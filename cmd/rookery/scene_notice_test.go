package main

// notices are a conversation of the caller, one that he is not in, and
// notifications of him and of somebody else.
func (s *scene) notices() {
	group := func(name, message string, members ...string) {
		id := s.as(name, s.put("direct_message_group", "is_group", true))
		for _, m := range members {
			s.put("direct_message_group_member", "group_id,user_id", id, s.id(m))
		}
		s.as(message, s.put("message", "direct_message_group_id,seq,author_id,search_text", id, 1, s.id(members[0]), message))
	}
	group("talk", "murmur", "friend", "me", "asker")
	group("foreignTalk", "overheard", "stranger", "founder")
	for name, user := range map[string]string{"notification": "me", "foreignNotification": "target"} {
		s.as(name, s.put("notification", "user_id,type,message_id,channel_id,author_id",
			s.id(user), "USER_MENTION", s.id("pinned"), s.id("general"), s.id("founder")))
	}
}
