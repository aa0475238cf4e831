// Package s3test runs an S3 server for tests: versitygw, which `make versitygw`
// builds at the version that persistence/testdata/versitygw pins. It is a module
// of its own, so that nothing of it is in ours.
//
// # Concurrency
//
// A server is for one test, which it belongs to and ends with. The test can't be
// parallel: keys are in the environment.
package s3test
