package api

import (
	"context"
	"net/http"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// SecretScope is the query of what is about secrets; see ByID.
type SecretScope struct {
	Visibility string `query:"visibility" doc:"PRIVATE, ALL_USERS or APP"`
	Parent     string `query:"parent" doc:"of APP secrets: app: and the app's name" maxLength:"100"`
}

// BySecret is the path of one secret.
type BySecret struct {
	Name string `path:"name" doc:"a secret's name" maxLength:"100"`
	SecretScope
}

func (b BySecret) id() controlplane.SecretID {
	return controlplane.SecretID{Visibility: controlplane.Visibility(b.Visibility), Parent: b.Parent, Name: b.Name}
}

type oneSecret = one[v1.Secret]

func (s *server) registerSecrets(api huma.API) {
	const one, all = "/api/v1/secrets/{name}", "/api/v1/secrets"
	tags := []string{"secrets"}
	huma.Register(api, huma.Operation{
		OperationID: "create-secret", Method: http.MethodPost, Path: all, Tags: tags, Summary: "Create a secret",
		Description: "Values are write-only: no answer but that of GET /secrets/{name}?reveal=true shows them.", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *struct{ Body v1.SecretRequest }) (*oneSecret, error) {
		values, err := secretValues(in.Body.SecretValues)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		id := controlplane.SecretID{Visibility: controlplane.Visibility(value(in.Body.Visibility)), Parent: value(in.Body.Parent), Name: in.Body.Name}
		secret, err := s.Service.CreateSecret(ctx, actorOf(ctx), id, values)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &oneSecret{ETag: etag(secret.Revision), Revision: revision(secret.Revision), Body: secretView(secret)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "list-secrets", Method: http.MethodGet, Path: all, Tags: tags, Summary: "List secrets",
		Description: "One's own, those of all users and, for admins, those of apps.",
	}, func(ctx context.Context, in *struct {
		PageQuery
		SecretScope
	}) (*page[v1.Secret], error) {
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		filter := controlplane.SecretFilter{Visibility: controlplane.Visibility(in.Visibility), Parent: in.Parent}
		list, err := s.Service.Secrets(ctx, actorOf(ctx), filter, p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &page[v1.Secret]{listOf(list, secretView)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-secret", Method: http.MethodGet, Path: one, Tags: tags, Summary: "Get a secret",
		Description: "Without a visibility it is the caller's own, as in all that is about one secret.",
	}, s.getSecret)
	huma.Register(api, huma.Operation{
		OperationID: "update-secret", Method: http.MethodPut, Path: one, Tags: tags, Summary: "Replace all values of a secret",
		Description: "Keys that are not given are gone. What runs keeps the old values until its next start.",
	}, func(ctx context.Context, in *struct {
		BySecret
		Body v1.SecretValues
	}) (*oneSecret, error) {
		values, err := secretValues(in.Body)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		secret, err := s.Service.UpdateSecret(ctx, actorOf(ctx), in.id(), values)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &oneSecret{ETag: etag(secret.Revision), Revision: revision(secret.Revision), Body: secretView(secret)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "delete-secret", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Delete a secret that no app refers to",
	}, func(ctx context.Context, in *BySecret) (*none, error) {
		changed, err := s.Service.DeleteSecret(ctx, actorOf(ctx), in.id())
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &none{revision(changed)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "rotate-secrets", Method: http.MethodPost, Path: "/api/v1/secrets/rotate", Tags: tags,
		Summary: "Seal all secrets with the newest key", Description: "The file of the setting secret_keys holds the keys. The older ones are not needed after it.",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Rotation }, error) {
		done, err := s.Service.RotateSecrets(ctx, actorOf(ctx))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Rotation }{v1.Rotation{Key: done.Key, Secrets: done.Secret, Resealed: done.Anew}}, nil
	})
}

type secretQuery struct {
	BySecret
	Reveal bool `query:"reveal" doc:"show the values, to the owner alone; it leaves a record in the audit, and needs a token that may write"`
}

func (s *server) getSecret(ctx context.Context, in *secretQuery) (*one[v1.RevealedSecret], error) {
	var (
		secret *controlplane.Secret
		shown  v1.SecretValues
		err    error
	)
	if in.Reveal {
		var values controlplane.SecretValues
		secret, values, err = s.Service.RevealSecret(ctx, actorOf(ctx), in.id())
		shown = revealed(values)
	} else {
		secret, err = s.Service.Secret(ctx, actorOf(ctx), in.id())
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &one[v1.RevealedSecret]{
		ETag: etag(secret.Revision), Body: v1.RevealedSecret{Secret: secretView(secret), SecretValues: shown},
	}, nil
}

// secretValues are those of a body. What is wrong with it is told by keys alone.
func secretValues(in v1.SecretValues) (controlplane.SecretValues, error) {
	out := controlplane.SecretValues{}
	for key, text := range in.Values {
		out[key] = []byte(text)
	}
	for key, data := range in.Data {
		if _, twice := out[key]; twice {
			return nil, controlplane.Errorf(controlplane.CodeInvalid, "a key is given in values and in data").WithHint("give each key once")
		}
		out[key] = data
	}
	return out, nil
}

// revealed has each value as text, if it is some.
func revealed(values controlplane.SecretValues) (out v1.SecretValues) {
	for key, data := range values {
		switch {
		case utf8.Valid(data):
			if out.Values == nil {
				out.Values = map[string]string{}
			}
			out.Values[key] = string(data)
		case out.Data == nil:
			out.Data = map[string][]byte{key: data}
		default:
			out.Data[key] = data
		}
	}
	return out
}

func secretView(s *controlplane.Secret) v1.Secret {
	return v1.Secret{
		Name: s.Name, Visibility: string(s.Visibility), Parent: optional(s.Parent), Owner: s.Owner,
		Keys: append([]string{}, s.Keys...), CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}
