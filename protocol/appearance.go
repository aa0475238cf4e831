package protocol

// Appearance is how a user's clients look.
type Appearance struct {
	ID          AnyID   `json:"id"`
	UserID      UserID  `json:"userId"`
	ThemeMode   string  `json:"themeMode"`
	AccentColor string  `json:"accentColor"`
	Intensity   string  `json:"intensity"`
	CreatedAt   Instant `json:"createdAt"`
	UpdatedAt   Instant `json:"updatedAt"`
}

// UpdateAppearance changes what is given of the caller's appearance.
type UpdateAppearance struct {
	ThemeMode   *string `json:"themeMode" rule:"optional,enum=dark;light"`
	AccentColor *string `json:"accentColor" rule:"optional,enum=teal;blue;indigo;purple;rose;red;orange;amber;lime;emerald;cyan;slate"`
	Intensity   *string `json:"intensity" rule:"optional,enum=minimal;balanced;vibrant"`
}

// Rows of appearance settings.
var (
	AppearanceGet = Define[None, Appearance](Operation{
		Name: "appearance.get", Method: "GET", Path: "/api/appearance-settings", Home: KindEdge,
	})
	AppearanceUpdate = Define[UpdateAppearance, Appearance](Operation{
		Name: "appearance.update", Method: "PATCH", Path: "/api/appearance-settings", Home: KindUser, Key: KeyCaller,
	})
)
