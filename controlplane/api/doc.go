// Package api serves the HTTP API below /api/ (spec interfaces.md §4): JSON,
// problem documents, OpenAPI 3.1 at /api/openapi.json. Each operation turns a
// request into one call of controlplane.Service.
//
// Every operation below /api/v1 needs a bearer token. A path is taken as it
// is: the API never cleans, decodes or redirects one.
package api
