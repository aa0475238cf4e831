package cluster_test

func childMain(string) {}
