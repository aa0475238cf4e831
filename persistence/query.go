package persistence

import (
	"fmt"
	"path/filepath"
	"runtime"
)

// A declaredQuery is one SQL text of this package and where it stands.
type declaredQuery struct {
	where string // file:line
	sql   string
}

// declaredQueries lists every text that went through query or newStatement. It is written
// only while package variables are initialised.
var declaredQueries []declaredQuery

// query declares an SQL text. Every statement of this package is a package variable made by
// it, so that one test can PREPARE them all against the migrated schema:
//
//	var selectChannel = query(`SELECT name FROM channel WHERE id = $1`)
func query(sql string) string { return declare(sql, 2) }

func declare(sql string, skip int) string {
	where := "unknown"
	if _, file, line, ok := runtime.Caller(skip); ok {
		where = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	declaredQueries = append(declaredQueries, declaredQuery{where: where, sql: sql})
	return sql
}
