package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rookery-chat/rookery/protocol"
)

// described are the operations of the contract that the document must have:
// method, path with its parameters, statuses of success, parameters of the query.
const described = `
GET /api 200
GET /api/alias-groups/community/{communityId} 200
POST /api/alias-groups/community/{communityId} 201
DELETE /api/alias-groups/{groupId} 204
GET /api/alias-groups/{groupId} 200
PUT /api/alias-groups/{groupId} 200
POST /api/alias-groups/{groupId}/members 204
PUT /api/alias-groups/{groupId}/members 204
DELETE /api/alias-groups/{groupId}/members/{userId} 204
GET /api/appearance-settings 200
PATCH /api/appearance-settings 200
POST /api/auth/login 200
POST /api/auth/logout 201
POST /api/auth/refresh 200
DELETE /api/auth/sessions 200
GET /api/auth/sessions 200
DELETE /api/auth/sessions/{sessionId} 200
POST /api/channel-membership 201
GET /api/channel-membership/channel/{channelId} 200
DELETE /api/channel-membership/channel/{channelId}/user/{userId} 204
GET /api/channel-membership/channel/{channelId}/user/{userId} 200
DELETE /api/channel-membership/leave/{channelId} 204
GET /api/channel-membership/my 200
GET /api/channel-membership/user/{userId} 200
POST /api/channels 201
GET /api/channels/community/{communityId} 200
GET /api/channels/community/{communityId}/mentionable 200
DELETE /api/channels/{id} 204
GET /api/channels/{id} 200
PATCH /api/channels/{id} 200
POST /api/channels/{id}/move-down 200
POST /api/channels/{id}/move-up 200
GET /api/community 200
POST /api/community 201
GET /api/community/admin/list 200 ?limit,continuationToken,search
DELETE /api/community/admin/{id} 204
GET /api/community/admin/{id} 200
GET /api/community/mine 200
DELETE /api/community/{id} 204
GET /api/community/{id} 200
PATCH /api/community/{id} 200
GET /api/debug/status 200
POST /api/debug/emit 200
DELETE /api/file-upload/{id} 200
GET /api/file-upload/community/{communityId} 204
GET /api/file-upload/message/{messageId} 204
GET /api/file/{id} 200,206,416
GET /api/file/{id}/metadata 200
GET /api/file/{id}/signed-url 200
GET /api/file/{id}/thumbnail 200
GET /api/friends 200
POST /api/file-upload 201,413,422
POST /api/friends/accept/{id} 201
DELETE /api/friends/cancel/{id} 200
DELETE /api/friends/decline/{id} 200
POST /api/friends/request/{userId} 201
GET /api/friends/requests 200
GET /api/friends/status/{userId} 200
DELETE /api/friends/{id} 200
GET /api/health 200,503
GET /api/instance/settings 200
PATCH /api/instance/settings 200
GET /api/instance/settings/public 200
GET /api/instance/stats 200
GET /api/invite 200
POST /api/invite 201
GET /api/invite/public/{code} 200
DELETE /api/invite/{code} 204
GET /api/invite/{code} 200
POST /api/membership 201
GET /api/membership/community/{communityId} 200
GET /api/membership/community/{communityId}/search 200 ?query,limit
DELETE /api/membership/community/{communityId}/user/{userId} 204
GET /api/membership/community/{communityId}/user/{userId} 200
DELETE /api/membership/leave/{communityId} 204
GET /api/membership/my 200
GET /api/membership/user/{userId} 200
GET /api/messages/channel/{channelId}/around/{messageId} 200 ?limit
GET /api/messages/group/{groupId}/around/{messageId} 200 ?limit
POST /api/messages/{id}/attachments 201
GET /api/messages/search/group/{groupId} 200 ?q,limit,offset,authorId,hasAttachment,fileType,after,before
GET /api/direct-messages 200
POST /api/direct-messages 201
GET /api/direct-messages/{id} 200
POST /api/direct-messages/{id}/members 201
DELETE /api/direct-messages/{id}/members/me 204
GET /api/direct-messages/{id}/messages 200
POST /api/threads/{parentMessageId}/replies 201
GET /api/threads/{parentMessageId}/replies 200 ?limit,continuationToken
GET /api/threads/{parentMessageId}/metadata 200
POST /api/threads/{parentMessageId}/subscribe 204
DELETE /api/threads/{parentMessageId}/subscribe 204
GET /api/messages/group/{groupId} 200 ?limit,continuationToken,direction
GET /api/messages/search/channel/{channelId} 200 ?q,limit,offset,authorId,hasAttachment,fileType,after,before
GET /api/messages/search/community/{communityId} 200 ?q,limit,offset,channelId,authorId,hasAttachment,fileType,after,before
DELETE /api/moderation/ban/{communityId}/{userId} 200
POST /api/moderation/ban/{communityId}/{userId} 200
GET /api/moderation/bans/{communityId} 200
POST /api/moderation/kick/{communityId}/{userId} 200
GET /api/moderation/logs/{communityId} 200 ?limit,offset,action
DELETE /api/moderation/message/{messageId} 200
DELETE /api/moderation/pin/{messageId} 200
POST /api/moderation/pin/{messageId} 200
GET /api/moderation/pins/{channelId} 200
GET /api/moderation/timeout-status/{communityId}/{userId} 200
DELETE /api/moderation/timeout/{communityId}/{userId} 200
POST /api/moderation/timeout/{communityId}/{userId} 200
GET /api/moderation/timeouts/{communityId} 200
POST /api/onboarding/setup 200
GET /api/onboarding/status 200
GET /api/roles/community/{communityId} 200
POST /api/roles/community/{communityId} 201
POST /api/roles/community/{communityId}/assign 204
POST /api/roles/community/{communityId}/reset-defaults 200
DELETE /api/roles/community/{communityId}/users/{userId}/roles/{roleId} 204
DELETE /api/roles/community/{communityId}/{roleId} 204
PUT /api/roles/community/{communityId}/{roleId} 200
GET /api/roles/community/{communityId}/{roleId}/users 200
POST /api/roles/instance 201
GET /api/roles/instance/all 200
DELETE /api/roles/instance/{roleId} 204
PUT /api/roles/instance/{roleId} 200
POST /api/roles/instance/{roleId}/assign 204
GET /api/roles/instance/{roleId}/users 200
DELETE /api/roles/instance/{roleId}/users/{userId} 204
GET /api/roles/my/channel/{channelId} 200
GET /api/roles/my/community/{communityId} 200
GET /api/roles/my/instance 200
GET /api/roles/user/{userId}/channel/{channelId} 200
GET /api/roles/user/{userId}/community/{communityId} 200
GET /api/roles/user/{userId}/instance 200
GET /api/storage/instance 200
GET /api/storage/my-usage 200
PATCH /api/storage/settings 200
GET /api/storage/users 200 ?skip,take,minPercentUsed
GET /api/storage/users/{userId} 200
PATCH /api/storage/users/{userId}/quota 200
POST /api/storage/users/{userId}/recalculate 201
GET /api/users 200 ?limit,continuationToken
POST /api/users 201
GET /api/users/admin/list 200 ?limit,continuationToken,banned,role,search
DELETE /api/users/admin/{id} 200
GET /api/users/admin/{id} 200
PATCH /api/users/admin/{id}/ban 200
PATCH /api/users/admin/{id}/role 200
DELETE /api/users/block/{userId} 200
POST /api/users/block/{userId} 201
GET /api/users/blocked 200
GET /api/users/blocked/{userId} 200
GET /api/users/profile 200
PATCH /api/users/profile 200
GET /api/users/search 200 ?q,communityId,limit
GET /api/users/username/{name} 200
GET /api/users/{id} 200
POST /api/read-receipts/mark-read 200
GET /api/read-receipts/unread-counts 200
GET /api/read-receipts/unread-count 200 ?channelId,directMessageGroupId
GET /api/read-receipts/last-read 200 ?channelId,directMessageGroupId
GET /api/read-receipts/dm-peer-reads/{directMessageGroupId} 200
GET /api/read-receipts/message/{messageId}/readers 200 ?channelId,directMessageGroupId
GET /api/notifications 200 ?unreadOnly,limit,offset
GET /api/notifications/unread-count 200
POST /api/notifications/{id}/read 200
POST /api/notifications/read-all 200
POST /api/notifications/{id}/dismiss 200
DELETE /api/notifications/{id} 204
GET /api/notifications/settings 200
PUT /api/notifications/settings 200
GET /api/notifications/channels/{channelId}/override 200
PUT /api/notifications/channels/{channelId}/override 200
DELETE /api/notifications/channels/{channelId}/override 204
POST /api/notifications/debug/send-test 200
GET /api/notifications/debug/subscriptions 200
DELETE /api/notifications/debug/clear-all 200
GET /api/push/vapid-public-key 200
POST /api/push/subscribe 201
DELETE /api/push/unsubscribe 200
GET /api/push/status 200
POST /api/push/test 200
POST /api/push/debug/send-test 200
GET /api/presence/user/{userId} 200
GET /api/presence/users/bulk 200
GET /api/presence/users/{userIds} 200
`

// openAPI is what the test reads of the document.
type openAPI struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Parameters  []struct {
			Name, In string
			Required bool
		}
		Responses map[string]any
		Tags      []string
	}
}

func readDocument(t *testing.T) (raw []byte, doc openAPI) {
	t.Helper()
	raw = newAPIDocs(Config{Version: "1.2.3", Operations: protocol.Operations()}).document
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

func TestDocumentHasTheContract(t *testing.T) {
	t.Parallel()
	_, doc := readDocument(t)
	for line := range strings.Lines(strings.TrimSpace(described)) {
		f := strings.Fields(line)
		route := f[0] + " " + f[1]
		op, ok := doc.Paths[f[1]][strings.ToLower(f[0])]
		if !ok {
			t.Errorf("%s is not described", route)
			continue
		}
		for status := range strings.SplitSeq(f[2], ",") {
			if op.Responses[status] == nil {
				t.Errorf("%s does not answer %s", route, status)
			}
		}
		var path, query, wanted []string
		for segment := range strings.SplitSeq(f[1], "/") {
			if name, ok := strings.CutPrefix(segment, "{"); ok {
				wanted = append(wanted, strings.TrimSuffix(name, "}"))
			}
		}
		for _, p := range op.Parameters {
			if p.In == "path" {
				path = append(path, p.Name)
			} else {
				query = append(query, p.Name)
			}
		}
		slices.Sort(path)
		slices.Sort(wanted)
		if !slices.Equal(path, wanted) {
			t.Errorf("%s has the path parameters %q, want %q", route, path, wanted)
		}
		if len(f) > 3 {
			for name := range strings.SplitSeq(strings.TrimPrefix(f[3], "?"), ",") {
				if !slices.Contains(query, name) {
					t.Errorf("%s has no query %s", route, name)
				}
			}
		}
	}
}

// Every row is in the document once, says how it may fail, and shows no message
// between actors.
func TestDocumentHasEveryRow(t *testing.T) {
	t.Parallel()
	raw, doc := readDocument(t)
	for _, op := range protocol.Operations() {
		if op.Method == "" {
			continue
		}
		got := doc.Paths[op.Path][strings.ToLower(op.Method)]
		if got.OperationID != op.Name || got.Responses[strconv.Itoa(op.SuccessStatus())] == nil || got.Responses["500"] == nil || len(got.Tags) != 1 {
			t.Errorf("%s is described as %+v", op.Name, got)
		}
		if (got.Responses["401"] == nil) != op.Public && op.Home != protocol.KindEdge {
			t.Errorf("%s: 401 and public don't fit", op.Name)
		}
		if (got.Responses["403"] != nil) != (op.Permission != protocol.ActionNone) {
			t.Errorf("%s: 403 and permission don't fit", op.Name)
		}
		if name := op.Body().Name(); strings.HasSuffix(name, "Grant") {
			t.Errorf("%s shows clients a %s: name in Shows what they get", op.Name, name)
		}
	}
	for _, want := range []string{
		`"lastSeen":{"format":"date-time","type":["string","null"]}`,                                                    // nullable, but there
		`"username":{"maxLength":32,"minLength":2,"pattern":"^[a-zA-Z0-9_-]+$","type":"string"}`,                        // rules
		`{"name":"limit","in":"query","schema":{"default":50,"type":"integer"}}`,                                        // a query
		`{"name":"channelId","in":"path","required":true,"schema":{"format":"uuid","type":"string"}}`,                   // a path
		`"accessToken":{"type":"string"},"refreshToken":{"type":"string"}},"required":["accessToken"],"type":"object"}`, // omitempty
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the document has no %s", want)
		}
	}
}

// openAPISchema is what the OpenAPI Initiative publishes at
// https://spec.openapis.org/oas/3.1/schema/2022-10-07 (Apache License 2.0).
//
//go:embed testdata/openapi-3.1-schema.json
var openAPISchema []byte

// The document is valid by the schema of OpenAPI 3.1, and each schema in it is
// one of JSON Schema 2020-12 whose references lead somewhere.
func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	raw, _ := readDocument(t)
	parse := func(b []byte) any {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const official, own = "https://spec.openapis.org/oas/3.1/schema/2022-10-07", "https://rookery.test/openapi.json"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	document := parse(raw)
	for url, resource := range map[string]any{official: parse(openAPISchema), own: document} {
		if err := c.AddResource(url, resource); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile(official)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Errorf("%v", err)
	}
	checked := 0
	for _, place := range schemasIn(document, "#") {
		if _, err := c.Compile(own + place); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		checked++
	}
	if checked < 100 {
		t.Errorf("only %d schemas were found", checked)
	}
}

// schemasIn finds the schemas of a document: the members named schema, and the
// components.
func schemasIn(v any, at string) (places []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			place := at + "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name)
			if name == "schema" || at == "#/components/schemas" {
				places = append(places, place)
				continue
			}
			places = append(places, schemasIn(member, place)...)
		}
	case []any:
		for i, member := range v {
			places = append(places, schemasIn(member, at+"/"+strconv.Itoa(i))...)
		}
	}
	return places
}

func TestDocsAreServed(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{APIDocs: true}, nil)
	page := call(t, addr, "GET", "/api-docs/", "")
	policy := page.header.Get("Content-Security-Policy")
	if page.status != 200 || !strings.Contains(policy, "default-src 'none'; script-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("page = %d, policy %q", page.status, policy)
	}
	for _, outside := range []string{"http://", "https://", "src=", "onclick", "innerHTML", "eval("} {
		if strings.Contains(page.body, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	doc := call(t, addr, "GET", "/api/openapi.json", "")
	if doc.status != 200 || !json.Valid([]byte(doc.body)) || doc.header.Get("Etag") == "" || doc.header.Get("X-Ratelimit-Limit-Short") != "20" {
		t.Errorf("document = %d %v", doc.status, doc.header)
	}
	addr = start(t, Config{}, nil)
	for _, path := range []string{"/api-docs", "/api/openapi.json"} {
		if a := call(t, addr, "GET", path, ""); a.status != 404 {
			t.Errorf("%s = %d although it is off", path, a.status)
		}
	}
}
