package caddymodule

// Refused counts the connections that somebody else answered.
func (rt *Runtime) Refused() int64 { return rt.checker.Refused() }

// RuntimesInUse are the runtimes of the configurations that are loaded.
func RuntimesInUse() (all []*Runtime) {
	runtimes.Range(func(_, value any) bool {
		all = append(all, value.(*Runtime))
		return true
	})
	return all
}
