package protocol

// Limits of push subscriptions.
const (
	MaxSubscriptions = 20   // of one user; the oldest give way
	MaxEndpoint      = 2048 // bytes
)

// PushKey is the key that browsers subscribe with.
type PushKey struct {
	PublicKey *string `json:"publicKey"`
	Enabled   bool    `json:"enabled"`
}

// SubscriptionKeys are those of a browser, base64url.
type SubscriptionKeys struct {
	P256DH string `json:"p256dh"`
	Auth   string `json:"auth"`
}

// PushSubscription is where a browser of a user can be reached.
type PushSubscription struct {
	ID        AnyID            `json:"id"`
	UserID    UserID           `json:"userId"`
	Endpoint  string           `json:"endpoint"`
	Keys      SubscriptionKeys `json:"keys"`
	UserAgent *string          `json:"userAgent"`
	CreatedAt Instant          `json:"createdAt"`
	UpdatedAt Instant          `json:"updatedAt"`
}

// DebugSubscriptions is what the debug route shows.
type DebugSubscriptions struct {
	Subscriptions []PushSubscription `json:"subscriptions"`
	Count         int                `json:"count"`
	PushEnabled   bool               `json:"pushEnabled"`
}

// Requests about push subscriptions.
type (
	// Subscribe adds a browser, or moves it to the caller.
	Subscribe struct {
		Endpoint  string           `json:"endpoint" rule:"max=2048,nonempty,string"`
		Keys      SubscriptionKeys `json:"keys" rule:"object"`
		UserAgent *string          `json:"userAgent" rule:"optional,max=500,string"`
	}
	// Unsubscribe removes a browser of the caller.
	Unsubscribe struct {
		Endpoint string `json:"endpoint" rule:"max=2048,nonempty,string"`
	}
)

// PushDone is the answer to a change of subscriptions.
type PushDone struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

// PushStatus is how many browsers of the caller are subscribed.
type PushStatus struct {
	Enabled           bool `json:"enabled"`
	SubscriptionCount int  `json:"subscriptionCount"`
}

// PushTested is what came of a test.
type PushTested struct {
	Success bool   `json:"success"`
	Sent    int    `json:"sent"`
	Failed  int    `json:"failed"`
	Message string `json:"message"`
}

// Refusals when push has no keys.
var (
	ErrNoPush     = NotFound("Push notifications are not configured on this instance")
	ErrNoPushTest = NotFound("Push notifications are not configured on this instance. Set VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY in .env")
)

// Rows of push subscriptions.
var (
	PushKeyGet = Define[None, PushKey](Operation{
		Name: "push.key", Method: "GET", Path: "/api/push/vapid-public-key", Home: KindEdge,
	})
	PushSubscribe = Define[Subscribe, PushDone](Operation{
		Name: "push.subscribe", Method: "POST", Path: "/api/push/subscribe", Home: KindEdge,
	})
	PushUnsubscribe = Define[Unsubscribe, PushDone](Operation{
		Name: "push.unsubscribe", Method: "DELETE", Path: "/api/push/unsubscribe", Home: KindEdge,
	})
	PushStatusGet = Define[None, PushStatus](Operation{
		Name: "push.status", Method: "GET", Path: "/api/push/status", Home: KindEdge,
	})
	PushTest = Define[None, PushTested](Operation{
		Name: "push.test", Method: "POST", Path: "/api/push/test", Status: 200, Rate: RatePassword, Home: KindEdge,
	})
	PushDebug = Define[None, PushTested](Operation{
		Name: "push.debug", Method: "POST", Path: "/api/push/debug/send-test", Status: 200, Home: KindEdge,
	})
)
