package protocol

// InstanceSettings is what administrators may know of the instance.
type InstanceSettings struct {
	ID                       AnyID   `json:"id"`
	Name                     string  `json:"name"`
	Description              *string `json:"description"`
	RegistrationMode         string  `json:"registrationMode"`
	CreatedAt                Instant `json:"createdAt"`
	UpdatedAt                Instant `json:"updatedAt"`
	DefaultStorageQuotaBytes int64   `json:"defaultStorageQuotaBytes"`
	MaxFileSizeBytes         int64   `json:"maxFileSizeBytes"`
	VapidPublicKey           *string `json:"vapidPublicKey"`
	VapidSubject             *string `json:"vapidSubject"`
}

// GetInstanceSettings asks for them.
type GetInstanceSettings struct{}

// UpdateInstanceSettings changes what is given. The largest file may be 1 GiB,
// as in UpdateStorageSettings.
type UpdateInstanceSettings struct {
	Name                     *string       `json:"name" rule:"optional,max=100,string"`
	Description              Patch[string] `json:"description" rule:"optional,max=500,string"`
	RegistrationMode         *string       `json:"registrationMode" rule:"optional,enum=OPEN;INVITE_ONLY;CLOSED"`
	DefaultStorageQuotaBytes *int64        `json:"defaultStorageQuotaBytes" rule:"optional,numeric,min=0,number,whole"`
	MaxFileSizeBytes         *int64        `json:"maxFileSizeBytes" rule:"optional,numeric,max=1073741824,min=0,number,whole"`
}

// InstanceStats counts what the instance has.
type InstanceStats struct {
	TotalUsers       int64 `json:"totalUsers"`
	TotalCommunities int64 `json:"totalCommunities"`
	TotalChannels    int64 `json:"totalChannels"`
	TotalMessages    int64 `json:"totalMessages"` // that are not deleted
	ActiveInvites    int64 `json:"activeInvites"`
	BannedUsers      int64 `json:"bannedUsers"`
}

// Rows of the instance.
var (
	InstanceGet = Define[GetInstanceSettings, InstanceSettings](Operation{
		Name: "instance.settings", Method: "GET", Path: "/api/instance/settings",
		Home: KindInstance, Key: KeySingleton, Permission: ActionReadInstanceSettings, Resource: ResourceInstance,
	})
	InstanceUpdate = Define[UpdateInstanceSettings, InstanceSettings](Operation{
		Name: "instance.update", Method: "PATCH", Path: "/api/instance/settings",
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateInstanceSettings, Resource: ResourceInstance,
	})
	InstanceStatsGet = Define[None, InstanceStats](Operation{
		Name: "instance.stats", Method: "GET", Path: "/api/instance/stats",
		Home: KindEdge, Permission: ActionReadInstanceStats, Resource: ResourceInstance,
	})
)
