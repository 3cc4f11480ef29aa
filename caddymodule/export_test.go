package caddymodule

// RuntimesInUse are the runtimes of the configurations that are loaded.
func RuntimesInUse() (all []*Runtime) {
	runtimes.Range(func(_, value any) bool {
		all = append(all, value.(*Runtime))
		return true
	})
	return all
}
