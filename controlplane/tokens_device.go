package controlplane

import (
	"context"
	"strings"
	"time"
)

// The limits of device logins (RFC 8628).
const (
	DeviceLife     = 10 * time.Minute
	DeviceInterval = 5 * time.Second // between two questions; more after each that comes too early
	// maxDeviceInterval is the most that becomes of it.
	maxDeviceInterval = time.Minute
	// deviceStarts bound how many wait for their approval, for each control
	// plane. Beyond the one of all a source has its first one still, so that a
	// few sources keep nobody else out; deviceGuesses how many user codes a user may look at and decide
	// about: a sign-in takes two (RFC 8628 §5.1).
	deviceStarts     = 1000 // in DeviceLife
	deviceStartsEach = 30   // of one source, in DeviceLife
	deviceGuesses    = 40   // of one user, in DeviceLife
)

// What a device login answers until it is approved (RFC 8628 §3.5).
const (
	CodePending  Code = "authorization_pending"
	CodeSlowDown Code = "slow_down"
	CodeDenied   Code = "access_denied"
	CodeExpired  Code = "expired_token"
)

// DeviceLogin is a command line that waits for somebody to approve it. The
// store knows the hash of its code.
type DeviceLogin struct {
	Code     string  `json:"code"`           // the hash
	UserCode string  `json:"user_code"`      // what the person compares: 8 consonants
	Name     string  `json:"name,omitempty"` // for people: where the token will be used
	Scopes   []Scope `json:"scopes"`
	Address  string  `json:"address,omitempty"` // of the command line

	ExpiresAt time.Time     `json:"expires_at"`
	AskedAt   time.Time     `json:"asked_at,omitzero"`
	Interval  time.Duration `json:"interval"`

	User   string `json:"user,omitempty"` // who approved it
	Denied bool   `json:"denied,omitempty"`
	Used   bool   `json:"used,omitempty"` // the token was given out
}

// deviceRef is kept under a user code.
type deviceRef struct {
	Code string `json:"code"`
}

func userCodeKey(code string) string { return "user/" + code }

// NewDevice is a device login that is to begin.
type NewDevice struct {
	Code     string // hash of the device code
	UserCode string // as NormalUserCode has it
	Name     string
	Scopes   []Scope // nil: all
	Address  string
}

// NormalUserCode is a user code as people may type it, without what only
// helps them to read it.
func NormalUserCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r
		}
		return -1
	}, typed)
}

// BeginDevice keeps a device login.
func (s *Service) BeginDevice(ctx context.Context, n NewDevice) error {
	if n.Scopes == nil {
		n.Scopes = Scopes
	}
	scopes, err := validScopes(n.Scopes)
	if err != nil {
		return err
	}
	now := s.Now()
	source := "device from " + sourceOf(n.Address)
	if !s.limits.allow(source, limit{deviceStartsEach, DeviceLife}, now) ||
		!s.limits.allow("devices", limit{deviceStarts, DeviceLife}, now) && s.limits.used(source, now) > 1 {
		return Errorf(CodeTooMany, "too many sign-ins wait for their approval").WithHint("try again in some minutes")
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		var other deviceRef
		if err := tx.Once(OnceDevice, userCodeKey(n.UserCode), &other); CodeOf(err) != CodeNotFound {
			if err == nil {
				err = Errorf(CodeConflict, "this user code is taken").WithHint("try again")
			}
			return err
		}
		d := &DeviceLogin{
			Code: n.Code, UserCode: n.UserCode, Name: shortened(n.Name), Scopes: scopes, Address: n.Address,
			ExpiresAt: s.now().Add(DeviceLife), Interval: DeviceInterval,
		}
		tx.PutOnce(OnceDevice, userCodeKey(d.UserCode), deviceRef{d.Code}, DeviceLife)
		tx.PutOnce(OnceDevice, d.Code, d, DeviceLife)
		return nil
	})
	return err
}

// Device finds what a signed-in user is asked to approve.
func (s *Service) Device(ctx context.Context, a Actor, userCode string) (d *DeviceLogin, err error) {
	if err := s.mayApprove(&a); err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		d, err = s.waitingDevice(tx, userCode)
		return err
	})
	return d, err
}

// mayApprove holds that tokens are given by people who are signed in at the
// console, and by no token; and that nobody tries codes out.
func (s *Service) mayApprove(a *Actor) error {
	if err := s.Allow(*a, HaveTokens); err != nil {
		return err
	}
	if a.Scopes != nil {
		return Errorf(CodeForbidden, "a token approves no sign-in").WithHint("sign in at the console")
	}
	if !s.limits.allow("device guesses of "+a.User, limit{deviceGuesses, DeviceLife}, s.Now()) {
		return Errorf(CodeTooMany, "too many codes were tried").WithHint("wait some minutes, and type the code as the command line shows it")
	}
	return nil
}

// waitingDevice finds a device login that nobody has decided about.
func (s *Service) waitingDevice(tx Tx, userCode string) (*DeviceLogin, error) {
	gone := Errorf(CodeNotFound, "no sign-in waits under this code").
		WithHint("a code is good for 10 minutes and for one sign-in; compare it with what the command line shows, or run slipway login again")
	var ref deviceRef
	err := tx.Once(OnceDevice, userCodeKey(NormalUserCode(userCode)), &ref)
	if err == nil {
		d := new(DeviceLogin)
		if err = tx.Once(OnceDevice, ref.Code, d); err == nil && d.User == "" && !d.Denied && s.Now().Before(d.ExpiresAt) {
			return d, nil
		}
	}
	if err == nil || CodeOf(err) == CodeNotFound {
		err = gone
	}
	return nil, err
}

// DecideDevice approves or denies a device login, for good.
func (s *Service) DecideDevice(ctx context.Context, a Actor, userCode string, approve bool) error {
	if err := s.mayApprove(&a); err != nil {
		return err
	}
	_, err := s.Store.Update(ctx, func(tx Tx) error {
		d, err := s.waitingDevice(tx, userCode)
		if err != nil {
			return err
		}
		action := "login.deny"
		if approve {
			action, d.User = "login.approve", a.User
		} else {
			d.Denied = true
		}
		s.audit(tx, a, action, "user/"+a.User, d.Name+" "+scopesText(d.Scopes))
		s.putDevice(tx, d)
		return nil
	})
	return err
}

func (s *Service) putDevice(tx Tx, d *DeviceLogin) {
	tx.PutOnce(OnceDevice, d.Code, d, d.ExpiresAt.Sub(s.Now()))
}

// TakeDeviceToken makes the token of a device login that was approved, once.
// Before that the error is CodePending or CodeSlowDown; CodeDenied and
// CodeExpired are the end of it.
func (s *Service) TakeDeviceToken(ctx context.Context, code string, n NewToken) (token *Token, err error) {
	var refused error // what is answered, though the transaction is to hold
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		token, refused = nil, nil
		d := new(DeviceLogin)
		err := tx.Once(OnceDevice, code, d)
		switch {
		case CodeOf(err) == CodeNotFound, err == nil && (d.Used || !s.Now().Before(d.ExpiresAt)):
			return Errorf(CodeExpired, "the sign-in was not approved in time, or used already").WithHint("run slipway login again")
		case err != nil:
			return err
		case d.Denied:
			return Errorf(CodeDenied, "the sign-in was denied")
		case d.User == "":
			var noted bool
			if noted, refused = s.pending(d); noted {
				s.putDevice(tx, d)
			}
			return nil
		}
		user, err := tx.User(d.User)
		if err != nil {
			return err
		}
		if user.Disabled {
			return Errorf(CodeDenied, "the sign-in was denied")
		}
		d.Used = true
		s.putDevice(tx, d)
		a := s.Rights.Actor(user)
		a.Address = d.Address
		token = &Token{Hash: n.Hash, ID: n.ID, User: user.Name, Name: d.Name, Scopes: d.Scopes, CreatedAt: s.now()}
		token.ExpiresAt = token.CreatedAt.Add(TokenLife)
		return s.putToken(tx, &a, token)
	})
	if err == nil {
		err = refused
	}
	return token, err
}

// pending notes a question that came before the approval. Not noted is that of
// somebody who was told often enough: anybody may ask, and each note is a write.
func (s *Service) pending(d *DeviceLogin) (noted bool, refused error) {
	now := s.now()
	// A request takes its time: what is early by a second is not early.
	early := !d.AskedAt.IsZero() && now.Sub(d.AskedAt) < d.Interval-time.Second
	if noted = !early || d.Interval < maxDeviceInterval; noted {
		d.AskedAt = now
	}
	if early {
		d.Interval = min(d.Interval+DeviceInterval, maxDeviceInterval)
		return noted, Errorf(CodeSlowDown, "ask every %d seconds", int(d.Interval.Seconds()))
	}
	return noted, Errorf(CodePending, "nobody has approved the sign-in yet")
}
