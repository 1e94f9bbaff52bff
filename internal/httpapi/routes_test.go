package httpapi

// Routes returns the method and the path of every endpoint.
func Routes() [][2]string {
	var out [][2]string
	for _, e := range (&api{}).endpoints() {
		out = append(out, [2]string{e.method, e.path})
	}
	return out
}
