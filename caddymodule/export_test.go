package caddymodule

// RuntimesInUse are the runtimes of the configurations that are loaded.
func RuntimesInUse() (all []*Runtime) {
	runtimes.Range(func(_, value any) bool {
		all = append(all, value.(*Runtime))
		return true
	})
	return all
}

// Connections is how many this edge would report.
func (rt *Runtime) Connections() int64 { return rt.edge.connections.Load() }
