package controlplane_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
)

var (
	visitor = controlplane.Actor{User: "victor", Roles: []string{"other"}}
	teamed  = controlplane.Actor{User: "vera", Roles: []string{"team"}}
	unknown = controlplane.Actor{}
	token   = controlplane.Actor{Instance: "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"}
)

// counting notes what is asked of a store, in kind and number.
type counting struct {
	controlplane.Store
	asked []string
}

func (c *counting) Update(ctx context.Context, f func(controlplane.Tx) error) (int64, error) {
	c.asked = append(c.asked, "update")
	return c.Store.Update(ctx, f)
}

func (c *counting) App(ctx context.Context, id string) (*controlplane.App, error) {
	c.asked = append(c.asked, "app")
	return c.Store.App(ctx, id)
}

func (c *counting) Instance(ctx context.Context, id string) (*controlplane.Instance, error) {
	c.asked = append(c.asked, "instance")
	return c.Store.Instance(ctx, id)
}

func (c *counting) Alias(ctx context.Context, name string) (*controlplane.Alias, error) {
	c.asked = append(c.asked, "alias")
	return c.Store.Alias(ctx, name)
}

func (c *counting) Apps(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.App], error) {
	c.asked = append(c.asked, "apps")
	return c.Store.Apps(ctx, p)
}

func (c *counting) Instances(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.Instance], error) {
	c.asked = append(c.asked, "instances")
	return c.Store.Instances(ctx, p)
}

func (c *counting) Tags(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.Tag], error) {
	c.asked = append(c.asked, "tags")
	return c.Store.Tags(ctx, p)
}

func (c *counting) Owned(ctx context.Context, owner string, revision int64) (controlplane.Owned, error) {
	c.asked = append(c.asked, "owned")
	return c.Store.Owned(ctx, owner, revision)
}

// What is hidden is told, and looked for, as what is not there.
func TestWhatIsHiddenIsAsIfItWereNotThere(t *testing.T) {
	in := install(t)
	in.Access = access.Rules{UserAliases: true}
	if _, err := in.CreateTag(t.Context(), admin, "red", controlplane.TagChange{VisitorRoles: &[]string{"team"}}); err != nil {
		t.Fatal(err)
	}
	app := in.mustImport(ada, demo("demo", "1", "Tags = [\"red\"]", ""))
	run := in.mustRun(ada, app)
	if _, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales", InstanceID: run.ID}); err != nil {
		t.Fatal(err)
	}
	store := &counting{Store: in.Store}
	in.Store = store
	v := controlplane.Public
	strangers := map[string]controlplane.Actor{"full": bob, "visitor": visitor, "tag visitor": teamed, "nobody": unknown}
	ask := func(name string, do func(actor controlplane.Actor, id string) error, hidden, absent string) {
		for who, actor := range strangers {
			t.Run(name+" by "+who, func(t *testing.T) {
				store.asked = nil
				there := do(actor, hidden)
				asked := store.asked
				store.asked = nil
				gone := do(actor, absent)
				same(t, "what the store is asked", asked, store.asked)
				code := controlplane.CodeNotFound
				if who == "nobody" {
					code = controlplane.CodeUnauthorized
				}
				wantCode(t, there, code)
				said := func(err error, id string) string {
					e, _ := errors.AsType[*controlplane.Error](err)
					return strings.ReplaceAll(fmt.Sprint(e.Code, e.What, e.Hint, e.Faults), id, "X")
				}
				if there != nil && gone != nil {
					same(t, "answer", said(there, hidden), said(gone, absent))
				}
			})
		}
	}
	none := uuid.NewString()
	apps := func(which string) {
		for _, ids := range [][2]string{{app.ID, none}, {app.ID[:9], none[:9]}} {
			for name, do := range map[string]func(controlplane.Actor, string) error{
				"get app": func(a controlplane.Actor, id string) error { _, err := in.App(t.Context(), a, id); return err },
				"delete app": func(a controlplane.Actor, id string) error {
					_, err := in.DeleteApp(t.Context(), a, id, true)
					return err
				},
				"run app": func(a controlplane.Actor, id string) error { _, err := in.RunApp(t.Context(), a, id, "x"); return err },
				"download": func(a controlplane.Actor, id string) error {
					_, _, err := in.OpenBundle(t.Context(), a, id)
					return err
				},
				"update app": func(a controlplane.Actor, id string) error {
					_, err := in.UpdateApp(t.Context(), a, id, controlplane.AppChange{Visibility: &v})
					return err
				},
			} {
				ask(which+name, do, ids[0], ids[1])
			}
		}
	}
	apps("PRIVATE: ")
	for _, ids := range [][2]string{{run.ID, none}, {run.ID[:9], none[:9]}} {
		for name, do := range map[string]func(controlplane.Actor, string) error{
			"get instance": func(a controlplane.Actor, id string) error { _, err := in.Instance(t.Context(), a, id); return err },
			"logs": func(a controlplane.Actor, id string) error {
				_, err := in.InstanceForLogs(t.Context(), a, id)
				return err
			},
			"suspend": func(a controlplane.Actor, id string) error {
				_, err := in.SuspendInstance(t.Context(), a, id)
				return err
			},
			"resume": func(a controlplane.Actor, id string) error {
				_, err := in.ResumeInstance(t.Context(), a, id)
				return err
			},
			"terminate": func(a controlplane.Actor, id string) error {
				_, err := in.TerminateInstance(t.Context(), a, id)
				return err
			},
			"update": func(a controlplane.Actor, id string) error {
				_, err := in.UpdateInstance(t.Context(), a, id, controlplane.InstanceChange{Visibility: &v})
				return err
			},
		} {
			ask(name, do, ids[0], ids[1])
		}
	}
	for name, do := range map[string]func(controlplane.Actor, string) error{
		"get alias":    func(a controlplane.Actor, id string) error { _, err := in.Alias(t.Context(), a, id); return err },
		"promote":      func(a controlplane.Actor, id string) error { _, err := in.PromoteAlias(t.Context(), a, id); return err },
		"delete alias": func(a controlplane.Actor, id string) error { _, err := in.DeleteAlias(t.Context(), a, id); return err },
		"assign": func(a controlplane.Actor, id string) error {
			_, err := in.AssignAlias(t.Context(), a, id, "", false)
			return err
		},
	} {
		ask(name, do, "sales", "tales")
	}
	in.show(app)
	delete(strangers, "full")
	delete(strangers, "tag visitor")
	apps("ALL_USERS: ")
}

func TestAPrefixTellsNothingOfWhatIsHidden(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	put := func(id, owner string) {
		_, err := in.store.Update(t.Context(), func(tx controlplane.Tx) error {
			copied := *in.instanceOf(app)
			copied.ID, copied.Owner = id, owner
			return tx.Put(&copied)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const bobs = "aaaaaaaa-0000-4000-8000-000000000002"
	put("aaaaaaaa-0000-4000-8000-000000000001", "carol")
	put(bobs, "bob")
	put("aaaaaaaa-0000-4000-8000-000000000003", "carol")
	got, err := in.Instance(t.Context(), bob, "aaaaaa")
	wantCode(t, err, "")
	same(t, "the only one that bob sees", got.ID, bobs)
	_, err = in.Instance(t.Context(), admin, "aaaaaa")
	wantCode(t, err, controlplane.CodeInvalid, "several")
	_, err = in.Instance(t.Context(), visitor, "aaaaaa")
	wantCode(t, err, controlplane.CodeNotFound)
}

// Of what somebody sees, pages are full, and none is told twice or left out.
func TestPagesOfWhatOneSees(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	var bobs []string
	for i := range 12 {
		_, err := in.store.Update(t.Context(), func(tx controlplane.Tx) error {
			for j := range 20 {
				record := *in.instanceOf(app)
				record.ID, record.Owner = fmt.Sprintf("%08x-0000-4000-8000-000000000000", (i*20+j)*0x1000003%0xfffffff), "carol"
				if j%8 == 3 {
					record.Owner = "bob"
				}
				if err := tx.Put(&record); err != nil {
					return err
				}
				if record.Owner == "bob" && !slices.Contains(bobs, record.ID) {
					bobs = append(bobs, record.ID)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(bobs)
	for _, limit := range []int{1, 7, 15, 30, 100} {
		var got []string
		for p := (controlplane.Page{Limit: limit}); ; {
			list, err := in.Instances(t.Context(), bob, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range list.Items {
				got = append(got, item.ID)
			}
			if list.NextAfter == "" {
				break
			}
			if len(list.Items) != limit {
				t.Errorf("limit %d: a page of %d that goes on", limit, len(list.Items))
			}
			if !slices.Contains(bobs, list.NextAfter) {
				t.Errorf("limit %d: the cursor tells of %s", limit, list.NextAfter)
			}
			p.After, p.Revision = list.NextAfter, list.Revision
		}
		same(t, fmt.Sprintf("all of bob's, limit %d", limit), got, bobs)
	}
	for who, want := range map[string]int{"ada": 240, "admin": 240, "visitor": 0} {
		list, err := in.Instances(t.Context(), map[string]controlplane.Actor{"ada": ada, "admin": admin, "visitor": visitor}[who], controlplane.Page{Limit: 1000})
		if err != nil || len(list.Items) != want {
			t.Errorf("%s sees %d, want %d (%v)", who, len(list.Items), want, err)
		}
	}
}

func TestAWorkloadsTokenIsGoodForNothingHere(t *testing.T) {
	in := install(t)
	in.Access = access.Rules{PublicMode: true, UserAliases: true}
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	public := controlplane.Public
	if _, err := in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{Visibility: &public}); err != nil {
		t.Fatal(err)
	}
	run := in.mustRun(ada, app)
	before := in.revision()
	for name, do := range everything(in, app.ID, run.ID) {
		t.Run(name, func(t *testing.T) { wantCode(t, do(token), controlplane.CodeForbidden) })
	}
	same(t, "revision", in.revision(), before)
}

// everything is each thing that can be asked for.
func everything(in *installation, app, run string) map[string]func(controlplane.Actor) error {
	ctx, all := in.Context(), controlplane.Page{}
	v, text := controlplane.AllUsers, "x"
	return map[string]func(controlplane.Actor) error{
		"import": func(a controlplane.Actor) error { _, err := in.importApp(a, demo("new", "1", "", "")); return err },
		"app":    func(a controlplane.Actor) error { _, err := in.App(ctx, a, app); return err },
		"apps":   func(a controlplane.Actor) error { _, err := in.Apps(ctx, a, all); return err },
		"update app": func(a controlplane.Actor) error {
			_, err := in.UpdateApp(ctx, a, app, controlplane.AppChange{Visibility: &v})
			return err
		},
		"tag app": func(a controlplane.Actor) error {
			_, err := in.UpdateApp(ctx, a, app, controlplane.AppChange{Tags: &[]string{"x"}})
			return err
		},
		"delete app": func(a controlplane.Actor) error { _, err := in.DeleteApp(ctx, a, app, false); return err },
		"download":   func(a controlplane.Actor) error { _, _, err := in.OpenBundle(ctx, a, app); return err },
		"run":        func(a controlplane.Actor) error { _, err := in.RunApp(ctx, a, app, ""); return err },
		"instance":   func(a controlplane.Actor) error { _, err := in.Instance(ctx, a, run); return err },
		"instances":  func(a controlplane.Actor) error { _, err := in.Instances(ctx, a, all); return err },
		"logs":       func(a controlplane.Actor) error { _, err := in.InstanceForLogs(ctx, a, run); return err },
		"update instance": func(a controlplane.Actor) error {
			_, err := in.UpdateInstance(ctx, a, run, controlplane.InstanceChange{Visibility: &v})
			return err
		},
		"suspend":   func(a controlplane.Actor) error { _, err := in.SuspendInstance(ctx, a, run); return err },
		"resume":    func(a controlplane.Actor) error { _, err := in.ResumeInstance(ctx, a, run); return err },
		"terminate": func(a controlplane.Actor) error { _, err := in.TerminateInstance(ctx, a, run); return err },
		"create alias": func(a controlplane.Actor) error {
			_, err := in.CreateAlias(ctx, a, controlplane.NewAlias{Name: "n", InstanceID: run})
			return err
		},
		"aliases":      func(a controlplane.Actor) error { _, err := in.Aliases(ctx, a, all); return err },
		"assign":       func(a controlplane.Actor) error { _, err := in.AssignAlias(ctx, a, "n", run, false); return err },
		"promote":      func(a controlplane.Actor) error { _, err := in.PromoteAlias(ctx, a, "n"); return err },
		"delete alias": func(a controlplane.Actor) error { _, err := in.DeleteAlias(ctx, a, "n"); return err },
		"tags":         func(a controlplane.Actor) error { _, err := in.Tags(ctx, a, all); return err },
		"tag":          func(a controlplane.Actor) error { _, err := in.Tag(ctx, a, "n"); return err },
		"create tag": func(a controlplane.Actor) error {
			_, err := in.CreateTag(ctx, a, "n", controlplane.TagChange{})
			return err
		},
		"update tag": func(a controlplane.Actor) error {
			_, _, err := in.UpdateTag(ctx, a, "n", controlplane.TagChange{Title: &text})
			return err
		},
		"delete tag": func(a controlplane.Actor) error { _, err := in.DeleteTag(ctx, a, "n"); return err },
		"edges":      func(a controlplane.Actor) error { _, err := in.AwaitEdges(ctx, a, 0, 0); return err },
		"audit": func(a controlplane.Actor) error {
			_, err := in.AuditRecords(ctx, a, controlplane.AuditFilter{}, all)
			return err
		},
		"follow audit": func(a controlplane.Actor) error {
			return in.FollowAudit(ctx, a, controlplane.AuditFollow{}, nil)
		},
		"explain": func(a controlplane.Actor) error { return in.Allow(a, controlplane.Explain) },
	}
}
