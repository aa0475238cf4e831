package persistence

import "context"

// DeclaredQueries gives every SQL text of the package, by where it stands.
func DeclaredQueries() map[string]string {
	all := make(map[string]string)
	for _, q := range declaredQueries {
		all[q.where] = q.sql
	}
	return all
}

// Plan gives, for the rows of some writes, the executions that store them.
func Plan(writes []Write) [][]Row {
	var batch []pending
	for _, w := range writes {
		batch = append(batch, pending{Write: w})
	}
	var all [][]Row
	for _, e := range plan(batch) {
		all = append(all, e.rows)
	}
	return all
}

// ChooseBinaries picks a Postgres installation among directories.
func ChooseBinaries(version int, dirs ...string) (bin string, err error) {
	b, err := chooseBinaries(context.Background(), version, dirs)
	return b.postgres, err
}

// CheckVersion refuses servers that are too old.
var CheckVersion = checkVersion

// StartOrphan starts the server of an embedded Postgres that was stopped before, without
// anybody looking after it, as a killed process leaves it behind where the kernel does not
// end it. It returns its process id and a channel that closes when it has ended.
func StartOrphan(ctx context.Context, dir string) (int, <-chan struct{}, error) {
	c, err := openCluster(ctx, dir, nil, logger(nil))
	if err != nil {
		return 0, nil, err
	}
	if err := c.choosePort(ctx); err != nil {
		return 0, nil, err
	}
	cmd := c.account.command(context.WithoutCancel(ctx), c.dir, c.binaries.postgres, c.arguments()...)
	p, err := spawn(cmd)
	if err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, p.exited, c.awaitReady(ctx, p)
}
