// Package apidocs describes the REST API: as an OpenAPI 3.1 document made from the rows of the
// operations table, and as a page that shows it to people.
//
// Document reflects the types of the rows. The rules of a request's fields become keywords of JSON
// Schema, path and query tags become parameters, the permission and the limits of a row become
// errors that it may answer with. Page is static and self-contained; its script reads the document
// from where the server serves it.
//
// # Concurrency
//
// Everything is made once and only read afterwards.
//
// # What it does not do
//
// It serves nothing: httpapi does. It does not say what an operation is for; names do.
//
// # Decisions
//
//   - swaggest's jsonschema-go for schemas and its openapi31 entities for the document: types of
//     OpenAPI 3.1 with JSON Schema of its own dialect, and hooks for each property, by which our
//     tags become constraints. huma's registry wants a method on each type that marshals itself, in
//     package protocol, and tags of its own; libopenapi reads documents rather than making
//     them (2026-11).
//   - A page of our own instead of Swagger UI or Redoc: theirs are megabytes from elsewhere, and
//     need a policy that allows inline styles or eval. Ours is some kilobytes, works offline and
//     under a policy of hashes (2026-11).
package apidocs
