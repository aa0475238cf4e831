package protocol

// GetOnboarding asks whether the instance waits for its first owner.
type GetOnboarding struct{}

// GetPublicSettings asks for what anybody may know.
type GetPublicSettings struct{}

// OnboardingStatus tells whether the instance waits for its first owner.
type OnboardingStatus struct {
	NeedsSetup bool   `json:"needsSetup"`
	HasUsers   bool   `json:"hasUsers"`
	SetupToken string `json:"setupToken,omitempty"`
}

// SetupInstance makes the first owner and, unless refused, a first community.
type SetupInstance struct {
	AdminUsername          string  `json:"adminUsername" rule:"max=32,min=3,string,nonempty"`
	AdminPassword          string  `json:"adminPassword" rule:"min=8,string,nonempty"`
	AdminEmail             *string `json:"adminEmail" rule:"optional,email"`
	InstanceName           string  `json:"instanceName" rule:"max=100,string,nonempty"`
	InstanceDescription    *string `json:"instanceDescription" rule:"optional,max=500,string"`
	DefaultCommunityName   *string `json:"defaultCommunityName" rule:"optional,max=100,string"`
	CreateDefaultCommunity *bool   `json:"createDefaultCommunity" rule:"optional,bool"`
	SetupToken             string  `json:"setupToken" rule:"string,nonempty"`

	Hash string `json:"-" cbor:"hash"` // argon2id, made by the edge; AdminPassword is emptied
}

// SetupDone is the answer to setup.
type SetupDone struct {
	Success            bool         `json:"success"`
	Message            string       `json:"message"`
	AdminUserID        UserID       `json:"adminUserId"`
	DefaultCommunityID *CommunityID `json:"defaultCommunityId,omitempty"`
}

// PublicSettings is what anybody may know of the instance.
type PublicSettings struct {
	Name             string `json:"name"`
	RegistrationMode string `json:"registrationMode"`
	MaxFileSizeBytes int64  `json:"maxFileSizeBytes"`
}

// Rows of onboarding and public settings.
var (
	OnboardingGet = Define[GetOnboarding, OnboardingStatus](Operation{
		Name: "onboarding.status", Method: "GET", Path: "/api/onboarding/status", Public: true,
		Home: KindInstance, Key: KeySingleton,
	})
	OnboardingSetup = Define[SetupInstance, SetupDone](Operation{
		Name: "onboarding.setup", Method: "POST", Path: "/api/onboarding/setup", Status: 200, Public: true, Rate: RateSetup,
		Home: KindInstance, Key: KeySingleton,
	})
	InstancePublic = Define[GetPublicSettings, PublicSettings](Operation{
		Name: "instance.public", Method: "GET", Path: "/api/instance/settings/public", Public: true,
		Home: KindInstance, Key: KeySingleton,
	})
)
