package sfu

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Grant is what a token lets its holder do. The field names are LiveKit's.
type Grant struct {
	Room                 string   `json:"room,omitempty"`
	RoomJoin             bool     `json:"roomJoin,omitempty"`
	CanPublish           bool     `json:"canPublish"`
	CanSubscribe         bool     `json:"canSubscribe"`
	CanPublishData       bool     `json:"canPublishData"`
	CanPublishSources    []string `json:"canPublishSources,omitempty"` // empty: all
	CanUpdateOwnMetadata bool     `json:"canUpdateOwnMetadata,omitempty"`
	Hidden               bool     `json:"hidden,omitempty"`
	Recorder             bool     `json:"recorder,omitempty"`
}

// Token is a participant's way into a room.
type Token struct {
	Identity string
	Name     string
	Grant    Grant
	Expires  time.Time
}

type claims struct {
	jwt.RegisteredClaims
	Name  string `json:"name,omitempty"`
	Video Grant  `json:"video"`
}

// Sign makes the token that LiveKit takes.
func (s *Server) Sign(t Token) (string, error) {
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.cfg.Key, Subject: t.Identity, ExpiresAt: jwt.NewNumericDate(t.Expires), NotBefore: jwt.NewNumericDate(time.Unix(0, 0)),
		},
		Name: t.Name, Video: t.Grant,
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(s.cfg.Secret))
	if err != nil {
		return "", fmt.Errorf("sign a LiveKit token: %w", err)
	}
	return signed, nil
}

// ErrToken means that a token was not made by Sign, or is too old.
var ErrToken = errors.New("not a valid LiveKit token")

// Verify reads a token that Sign made.
func (s *Server) Verify(token string) (Token, error) {
	var c claims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(s.cfg.Key), jwt.WithExpirationRequired())
	if _, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return []byte(s.cfg.Secret), nil }); err != nil {
		return Token{}, errors.Join(ErrToken, err)
	}
	return Token{Identity: c.Subject, Name: c.Name, Grant: c.Video, Expires: c.ExpiresAt.Time}, nil
}
