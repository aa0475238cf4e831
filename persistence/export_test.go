package persistence

// DeclaredQueries gives every SQL text of the package, by where it stands.
func DeclaredQueries() map[string]string {
	all := make(map[string]string)
	for _, q := range declaredQueries {
		all[q.where] = q.sql
	}
	return all
}
