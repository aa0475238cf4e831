package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// API calls the REST API of one node.
type API struct {
	Base  string // http://127.0.0.1:3000
	Token string
	HTTP  *http.Client // nil: http.DefaultClient
}

// As returns the same API with another token.
func (a API) As(token string) API { a.Token = token; return a }

// StatusError is an answer that is not a success.
type StatusError struct {
	Method, Path string
	Status       int
	Body         string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, e.Body)
}

// Call sends body (nil: none) and decodes the answer into reply (nil: ignore).
func (a API) Call(ctx context.Context, method, path string, body, reply any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode body: %w", err)
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.Base+path, content)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	client := a.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return &StatusError{method, path, res.StatusCode, string(raw)}
	}
	if reply == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, reply); err != nil {
		return fmt.Errorf("decode answer of %s %s: %w", method, path, err)
	}
	return nil
}

// Owner is what Setup leaves: the first user and his community.
type Owner struct {
	Token     string
	UserID    string
	Community string
	General   string // channel
	Invite    string // code that leads to the community
}

// Password is that of the users that Setup and Register make.
const Password = "correct horse battery"

// Setup takes a new instance through onboarding.
func (a API) Setup(ctx context.Context) (*Owner, error) {
	var status struct{ SetupToken string }
	if err := a.Call(ctx, "GET", "/api/onboarding/status", nil, &status); err != nil {
		return nil, err
	}
	var done struct{ AdminUserID, DefaultCommunityID string }
	err := a.Call(ctx, "POST", "/api/onboarding/setup", map[string]any{
		"adminUsername": "owner", "adminPassword": Password, "instanceName": "Test", "setupToken": status.SetupToken,
	}, &done)
	if err != nil {
		return nil, err
	}
	o := &Owner{UserID: done.AdminUserID, Community: done.DefaultCommunityID}
	if o.Token, err = a.Login(ctx, "owner"); err != nil {
		return nil, err
	}
	a.Token = o.Token
	var channels []struct{ ID, Name string }
	if err := a.Call(ctx, "GET", "/api/channels/community/"+o.Community, nil, &channels); err != nil {
		return nil, err
	}
	for _, c := range channels {
		if c.Name == "general" {
			o.General = c.ID
		}
	}
	var invite struct{ Code string }
	if err := a.Call(ctx, "POST", "/api/invite", map[string]any{"communityIds": []string{o.Community}}, &invite); err != nil {
		return nil, err
	}
	o.Invite = invite.Code
	return o, nil
}

// Login returns an access token.
func (a API) Login(ctx context.Context, username string) (string, error) {
	var t struct{ AccessToken string }
	err := a.Call(ctx, "POST", "/api/auth/login", map[string]string{"username": username, "password": Password}, &t)
	return t.AccessToken, err
}

// Register makes a user through an invite and logs him in.
func (a API) Register(ctx context.Context, username, code string) (id, token string, err error) {
	var u struct{ ID string }
	err = a.Call(ctx, "POST", "/api/users", map[string]string{"code": code, "username": username, "password": Password}, &u)
	if err != nil {
		return "", "", err
	}
	token, err = a.Login(ctx, username)
	return u.ID, token, err
}

// Message is what tests look at of a message.
type Message struct {
	ID    string `json:"id"`
	Spans []struct {
		Text string `json:"text"`
	} `json:"spans"`
}

// Text is the text of the first span.
func (m Message) Text() string {
	if len(m.Spans) == 0 {
		return ""
	}
	return m.Spans[0].Text
}

// History reads a channel from its end to its beginning, newest first.
func (a API) History(ctx context.Context, channel string) ([]Message, error) {
	var all []Message
	for token := ""; ; {
		var page struct {
			Messages          []Message
			ContinuationToken string
		}
		path := "/api/messages/channel/" + channel + "?limit=100&continuationToken=" + token
		if err := a.Call(ctx, "GET", path, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Messages...)
		if token = page.ContinuationToken; token == "" {
			return all, nil
		}
	}
}
