package controlplane

// Allow asks the one function who may do that (package access), of what is no
// thing of its own. See allow for the errors. Which scope a token needs depends
// on the operation: the API holds that.
func (s *Service) Allow(actor Actor, do Action) error {
	return s.allow(actor, do, nil, Errorf(CodeNotFound, "no such thing"))
}

// allow asks the one function who may do that. What the actor may not know of
// is as if it were not there: then the error is absent. Other refusals are
// CodeForbidden, and CodeUnauthorized where nobody is signed in.
func (s *Service) allow(actor Actor, do Action, of *Resource, absent error) error {
	if actor.User == "" && actor.Instance != "" {
		return Errorf(CodeForbidden, "an instance's own token is not good for this").WithHint("use a personal token")
	}
	switch s.Access.Decide(&actor, do, of) {
	case Allowed:
		return nil
	case SignIn:
		return signIn()
	case Forbidden:
		return s.asNoAdmin(actor, do, of)
	}
	return absent
}

// asNoAdmin is why somebody may not do that, of whose thing they may know. To
// an admin it is their token alone that is in the way.
func (s *Service) asNoAdmin(actor Actor, do Action, of *Resource) error {
	whole := actor
	whole.Admin, whole.Full = true, true
	if actor.NotAsAdmin && s.Access.Decide(&whole, do, of) == Allowed {
		return LacksScope(ScopeAdmin)
	}
	return forbidden(do)
}

// forAdmins is refused, or what an admin reads in its place whose token is not
// good for what admins do.
func forAdmins(actor Actor, refused *Error) error {
	if actor.NotAsAdmin {
		return LacksScope(ScopeAdmin)
	}
	return refused
}

// LacksScope is what a token is refused with that is not good for an operation.
func LacksScope(scope Scope) *Error {
	return Errorf(CodeForbidden, "this token is not good for that: it lacks the scope %q", scope).
		WithHint("make a token with that scope, or sign in with: slipway login")
}

func signIn() error {
	return Errorf(CodeUnauthorized, "this needs a sign-in").WithHint("sign in with: slipway login")
}

// forbidden says what is refused to somebody who may know that it is there.
func forbidden(do Action) error {
	const askAdmin = "ask an admin"
	switch do {
	case RunApp:
		return Errorf(CodeForbidden, "this app is started by its owner and by admins").WithHint("ask its owner")
	case UpdateApp, DeleteApp, DownloadApp:
		return Errorf(CodeForbidden, "this app belongs to somebody else").WithHint("ask its owner")
	case ImportApp:
		return Errorf(CodeForbidden, "visitors import no apps").WithHint("ask an admin for full access")
	case ImportContainer:
		return Errorf(CodeForbidden, "apps that bring their own image or address are imported by admins").
			WithHint("ask an admin to run: slipway admin app import FILE")
	case SetImage:
		return Errorf(CodeForbidden, "the image of an app is set by admins").WithHint(askAdmin)
	case OpenInstance, ReadLogs, ChangeInstance:
		return Errorf(CodeForbidden, "this instance belongs to somebody else").WithHint("ask its owner")
	case ChangeAlias, ManageAliases:
		return Errorf(CodeForbidden, "aliases are changed by admins").
			WithHint("ask an admin; with the setting user_aliases owners change those of their own instances")
	case ManageTags:
		return Errorf(CodeForbidden, "tags are created and deleted by admins").WithHint(askAdmin)
	case AssignTag:
		return Errorf(CodeForbidden, "this tag is changed and given by who has one of its admin roles").WithHint(askAdmin)
	case SeeSecretNames, WriteOwnSecret:
		return Errorf(CodeForbidden, "visitors have no secrets").WithHint("ask an admin for full access")
	case WriteSharedSecret:
		return Errorf(CodeForbidden, "secrets for all users and of apps are the admins'").WithHint("make a PRIVATE one, or ask an admin")
	}
	return Errorf(CodeForbidden, "this is for admins").WithHint(askAdmin)
}

// noSuch is the one answer for what is not there and for what the actor may
// not know of.
func noSuch(actor Actor, kind, id string) error {
	if actor.Anonymous() {
		return signIn()
	}
	return Errorf(CodeNotFound, "no %s %q", kind, id).WithHint("slipway %s list shows them", kind)
}

// appFor reads an app within a transaction, for something that the actor wants
// to do with it.
func (s *Service) appFor(tx Tx, actor Actor, do Action, id string) (*App, error) {
	absent := noSuch(actor, "app", id)
	app, err := tx.App(id)
	if CodeOf(err) == CodeNotFound {
		return nil, absent
	}
	if err != nil {
		return nil, err
	}
	roles, err := VisitorRoles(tx, app)
	if err != nil {
		return nil, err
	}
	return app, s.allow(actor, do, ResourceOfApp(app, roles), absent)
}

// instanceFor reads an instance likewise.
func (s *Service) instanceFor(tx Tx, actor Actor, do Action, id string) (*Instance, error) {
	absent := noSuch(actor, "instance", id)
	in, err := tx.Instance(id)
	if CodeOf(err) == CodeNotFound {
		return nil, absent
	}
	if err != nil {
		return nil, err
	}
	of, err := instanceResource(tx, in)
	if err != nil {
		return nil, err
	}
	return in, s.allow(actor, do, of, absent)
}

// instanceResource is an instance as a resource, with what its app says.
func instanceResource(tx Tx, in *Instance) (*Resource, error) {
	app, err := tx.App(in.AppID)
	if CodeOf(err) == CodeNotFound {
		return ResourceOfInstance(in, nil, nil), nil
	}
	if err != nil {
		return nil, err
	}
	roles, err := VisitorRoles(tx, app)
	if err != nil {
		return nil, err
	}
	return ResourceOfInstance(in, app, roles), nil
}
