package routing

import (
	"fmt"
	"slices"
)

// Mode is how an instance is addressed: by a host of its own or by a path
// below the base domain.
type Mode uint8

// The modes. The zero Mode is the default of apps that name none.
const (
	Domain Mode = iota
	BaseURL
)

var modeNames = []string{"DOMAIN", "BASE_URL"}

func (m Mode) String() string { return enumName(modeNames, m) }

// ParseMode parses what [Mode.String] prints.
func ParseMode(s string) (Mode, bool) { return enumValue[Mode](modeNames, s) }

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return enumText(modeNames, m) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mode) UnmarshalText(text []byte) error { return enumParse(modeNames, "mode", text, m) }

// Status is where an instance is in its life. TERMINATING is none of them: a
// terminating instance counts as terminated and is not in the table.
type Status uint8

// The statuses of spec/instances.md §2. None of them changes a decision.
const (
	Pending Status = iota
	Deployed
	Suspending
	Suspended
	Resuming
	Failed
	Unknown
)

var statusNames = []string{
	"PENDING", "DEPLOYED", "SUSPENDING", "SUSPENDED", "RESUMING", "FAILED", "UNKNOWN",
}

func (s Status) String() string { return enumName(statusNames, s) }

// ParseStatus parses what [Status.String] prints.
func ParseStatus(s string) (Status, bool) { return enumValue[Status](statusNames, s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Status) MarshalText() ([]byte, error) { return enumText(statusNames, s) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Status) UnmarshalText(text []byte) error { return enumParse(statusNames, "status", text, s) }

// Visibility is who may see an instance. The zero Visibility is the narrowest.
type Visibility uint8

// The visibilities of spec/instances.md §1.
const (
	Private Visibility = iota
	AllUsers
	Public
)

var visibilityNames = []string{"PRIVATE", "ALL_USERS", "PUBLIC"}

func (v Visibility) String() string { return enumName(visibilityNames, v) }

// ParseVisibility parses what [Visibility.String] prints.
func ParseVisibility(s string) (Visibility, bool) {
	return enumValue[Visibility](visibilityNames, s)
}

// MarshalText implements [encoding.TextMarshaler].
func (v Visibility) MarshalText() ([]byte, error) { return enumText(visibilityNames, v) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *Visibility) UnmarshalText(text []byte) error {
	return enumParse(visibilityNames, "visibility", text, v)
}

// WakePolicy is whose visit wakes a sleeping instance. The zero WakePolicy is
// the default.
type WakePolicy uint8

// The policies of spec/instances.md §3.
const (
	WakeVisitors WakePolicy = iota // whoever may see it
	WakeOwner
	WakeNever
)

var wakeNames = []string{"visitors", "owner", "never"}

func (w WakePolicy) String() string { return enumName(wakeNames, w) }

// ParseWakePolicy parses what [WakePolicy.String] prints.
func ParseWakePolicy(s string) (WakePolicy, bool) { return enumValue[WakePolicy](wakeNames, s) }

// MarshalText implements [encoding.TextMarshaler].
func (w WakePolicy) MarshalText() ([]byte, error) { return enumText(wakeNames, w) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (w *WakePolicy) UnmarshalText(text []byte) error {
	return enumParse(wakeNames, "wake policy", text, w)
}

func enumName[E ~uint8](names []string, value E) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("%T(%d)", value, uint8(value))
}

func enumValue[E ~uint8](names []string, name string) (E, bool) {
	i := slices.Index(names, name)
	if i < 0 {
		return 0, false
	}
	return E(i), true
}

// enumText refuses a value without a name, so that none is ever stored.
func enumText[E ~uint8](names []string, value E) ([]byte, error) {
	if int(value) >= len(names) {
		return nil, fmt.Errorf("encode %T: %d is out of range", value, uint8(value))
	}
	return []byte(names[value]), nil
}

func enumParse[E ~uint8](names []string, noun string, text []byte, value *E) error {
	parsed, ok := enumValue[E](names, string(text))
	if !ok {
		return fmt.Errorf("parse %s: unknown value %q", noun, text)
	}
	*value = parsed
	return nil
}
