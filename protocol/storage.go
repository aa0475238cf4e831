package protocol

// UserStorage is what a user stores and may store.
type UserStorage struct {
	UserID      UserID  `json:"userId"`
	Username    string  `json:"username"`
	UsedBytes   int64   `json:"usedBytes"`
	QuotaBytes  int64   `json:"quotaBytes"`
	PercentUsed float64 `json:"percentUsed"` // two decimals; 0 when there is no quota
	FileCount   int64   `json:"fileCount"`   // uploads that are not deleted
}

// UserStorageList is a part of all users, the fullest first.
type UserStorageList struct {
	Users []UserStorage `json:"users"`
	Total int64         `json:"total"` // with the filter
}

// StorageDistribution counts users by how full their quota is. The counts do
// not overlap.
type StorageDistribution struct {
	Under25Percent int64 `json:"under25Percent"`
	Under50Percent int64 `json:"under50Percent"`
	Under75Percent int64 `json:"under75Percent"`
	Under90Percent int64 `json:"under90Percent"`
	Over90Percent  int64 `json:"over90Percent"`
}

// TypeStorage is what files of one resource type take.
type TypeStorage struct {
	Type  string `json:"type"`
	Bytes int64  `json:"bytes"`
	Count int64  `json:"count"`
}

// InstanceStorage is what is stored on the instance, and its machine.
type InstanceStorage struct {
	TotalStorageUsedBytes      int64               `json:"totalStorageUsedBytes"`
	TotalFileCount             int64               `json:"totalFileCount"`
	TotalUserCount             int64               `json:"totalUserCount"`
	AverageStoragePerUserBytes int64               `json:"averageStoragePerUserBytes"`
	UserStorageDistribution    StorageDistribution `json:"userStorageDistribution"`
	StorageByType              []TypeStorage       `json:"storageByType"`
	DefaultQuotaBytes          int64               `json:"defaultQuotaBytes"`
	MaxFileSizeBytes           int64               `json:"maxFileSizeBytes"`
	UsersApproachingQuota      int64               `json:"usersApproachingQuota"` // 75 to 90 %
	UsersOverQuota             int64               `json:"usersOverQuota"`        // 90 % and more
	Server                     Machine             `json:"server"`
}

// Machine is how the machine of the node that answers is doing. What can't be
// found out is zero.
type Machine struct {
	MemoryTotalBytes  uint64     `json:"memoryTotalBytes"`
	MemoryUsedBytes   uint64     `json:"memoryUsedBytes"`
	MemoryFreeBytes   uint64     `json:"memoryFreeBytes"`
	MemoryUsedPercent float64    `json:"memoryUsedPercent"`
	CPUCores          int        `json:"cpuCores"`
	CPUModel          string     `json:"cpuModel"`
	LoadAverage       [3]float64 `json:"loadAverage"` // of 1, 5 and 15 minutes
	DiskTotalBytes    uint64     `json:"diskTotalBytes"`
	DiskUsedBytes     uint64     `json:"diskUsedBytes"`
	DiskFreeBytes     uint64     `json:"diskFreeBytes"`
	DiskUsedPercent   float64    `json:"diskUsedPercent"`
	Platform          string     `json:"platform"`
	Hostname          string     `json:"hostname"`
	Uptime            float64    `json:"uptime"` // seconds
}

// Requests about storage.
type (
	// ListStorage asks for users by how full their quota is.
	ListStorage struct {
		Skip           int `query:"skip" json:"skip" rule:"queryOffset=0"`
		Take           int `query:"take" json:"take" rule:"queryInt=20"`
		MinPercentUsed int `query:"minPercentUsed" json:"minPercentUsed" rule:"queryOffset=0"`
	}
	// GetUserStorage asks for one user.
	GetUserStorage struct {
		UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
	}
	// SetUserQuota sets what a user may store.
	SetUserQuota struct {
		UserID     UserID `path:"userId" json:"userId" rule:"pathUUID"`
		QuotaBytes int64  `json:"quotaBytes" rule:"min=0,number,whole"`
	}
	// RecountUserStorage adds up again what a user stores.
	RecountUserStorage struct {
		UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
	}
	// UpdateStorageSettings changes what is given.
	UpdateStorageSettings struct {
		DefaultStorageQuotaBytes *int64 `json:"defaultStorageQuotaBytes" rule:"optional,min=1073741824,number,whole"`
		MaxFileSizeBytes         *int64 `json:"maxFileSizeBytes" rule:"optional,max=1073741824,min=1048576,number,whole"`
	}
)

// Rows of storage.
var (
	StorageMine = Define[None, UserStorage](Operation{
		Name: "storage.mine", Method: "GET", Path: "/api/storage/my-usage", Home: KindEdge,
	})
	StorageInstance = Define[None, InstanceStorage](Operation{
		Name: "storage.instance", Method: "GET", Path: "/api/storage/instance",
		Home: KindEdge, Permission: ActionReadInstanceStats, Resource: ResourceInstance,
	})
	StorageList = Define[ListStorage, UserStorageList](Operation{
		Name: "storage.list", Method: "GET", Path: "/api/storage/users",
		Home: KindEdge, Permission: ActionManageUserStorage, Resource: ResourceInstance,
	})
	StorageGet = Define[GetUserStorage, UserStorage](Operation{
		Name: "storage.get", Method: "GET", Path: "/api/storage/users/{userId}",
		Home: KindEdge, Permission: ActionManageUserStorage, Resource: ResourceInstance,
	})
	StorageQuota = Define[SetUserQuota, UserStorage](Operation{
		Name: "storage.quota", Method: "PATCH", Path: "/api/storage/users/{userId}/quota",
		Home: KindInstance, Key: KeySingleton, Permission: ActionManageUserStorage, Resource: ResourceInstance,
	})
	StorageRecount = Define[RecountUserStorage, UserStorage](Operation{
		Name: "storage.recount", Method: "POST", Path: "/api/storage/users/{userId}/recalculate",
		Home: KindInstance, Key: KeySingleton, Permission: ActionManageUserStorage, Resource: ResourceInstance,
	})
	StorageSettings = Define[UpdateStorageSettings, Success](Operation{
		Name: "storage.settings", Method: "PATCH", Path: "/api/storage/settings",
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateInstanceSettings, Resource: ResourceInstance,
	})
)
